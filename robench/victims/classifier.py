"""TextClassifier: a Hugging Face encoder with the papers' two-layer head on the pooled [CLS]."""

from __future__ import annotations

from torch import Tensor, nn


class TextClassifier(nn.Module):
    """Placeholder of the interface; see its author's version."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits, ``(batch, classes)``."""
        raise AssertionError
