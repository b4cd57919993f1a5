"""Victims for others: transformers' classes, model cards, the Hugging Face hub.

Published victims import the three classes of transformers from here, so these names stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench._base.lazy import import_public

if TYPE_CHECKING:
    from robench.models.hub_model import RobenchConfig, RobenchForSequenceClassification
    from robench.sharing.tokenizer import RobenchTokenizer

_MODULE_OF = {
    "RobenchConfig": "robench.models.hub_model",
    "RobenchForSequenceClassification": "robench.models.hub_model",
    "RobenchTokenizer": "robench.sharing.tokenizer",
}

__all__ = ["RobenchConfig", "RobenchForSequenceClassification", "RobenchTokenizer"]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    return import_public(__name__, name, _MODULE_OF)
