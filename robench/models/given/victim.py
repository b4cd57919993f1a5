"""GivenVictim: a classifier of the user, attacked as it is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench._base.environment import Precision
from robench.models.given.description import GivenInfo
from robench.models.given.reader import TextReader
from robench.models.judged import VictimKind
from robench.models.whole_texts import TEXTS_AT_ONCE, probs_of_rows
from robench.text.encoding import EncodedText
from robench.text.field_encoding import RowMode

Padding = Literal["right", "left", "none"]
"""Where a model takes padding without changing its answers."""


@dataclass
class GivenTable:
    """How the rows of a given model are padded; see ``robench.text.field_encoding.Table``."""

    pad_id: int = 0
    can_pad: bool = False
    mode: RowMode = "subword"


class GivenVictim:
    """A given model under attack. It is in eval mode, in fp32, and reads texts as they are.

    A row of ids holds the token types as well (``robench.models.given.reader``), so ``logits``
    takes no types of its own.

    Args:
        model: an ``AutoModelForSequenceClassification``.
        info: its description.
        device: a torch device string.

    Attributes:
        padding: where rows are padded; ``"none"`` until ``choose_padding`` has tried the model.
        order: for each label of the task, the number of the model's logit.
    """

    kind: VictimKind = "given"
    portable = True
    forwards_per_row = 1
    segments = False

    def __init__(self, model: Any, info: GivenInfo, device: str = "cpu") -> None:
        source, tokenizer = info.source, info.tokenizer
        self.model, self.info, self.device = model.to(device).eval(), info, device
        self.tokenizer, self.order = tokenizer, list(info.order)
        self.name, self.task, self.labels = source.title, source.task, source.labels
        self.attackable = source.attackable
        arguments = inspect.signature(model.forward).parameters
        types = "token_type_ids" in arguments and "token_type_ids" in tokenizer.model_input_names
        self.stride = max(self.vocabulary, len(tokenizer))
        self.encoder_fields = TextReader(
            tokenizer, source.fields, self.attackable, info.max_tokens, self.stride, types
        )
        self.table = GivenTable()
        self.padding: Padding = "none"

    def set_padding(self, padding: Padding, pad_id: int) -> None:
        """Pad rows on one side with ``pad_id``, or not at all."""
        self.padding = padding
        self.table.pad_id = self.encoder_fields.pad_id = pad_id
        self.table.can_pad = padding != "none"

    @cached_property
    def sha256(self) -> str:
        """Hash of configuration, tokenizer and weights."""
        return self.info.sha256

    @property
    def max_tokens(self) -> int:
        """The model's window, special tokens included."""
        return self.encoder_fields.max_tokens

    @property
    def vocabulary(self) -> int:
        """Number of token ids that the model knows."""
        return int(self.model.get_input_embeddings().num_embeddings)

    @property
    def parameter_bytes(self) -> int:
        """Size of the model's parameters in bytes."""
        return sum(each.numel() * each.element_size() for each in self.model.parameters())

    def logits(
        self,
        ids: NDArray[np.integer[Any]],
        lengths: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Run the model on rows; all searches and verdicts use this method.

        Args:
            ids: ``(batch, tokens)``, rows of ``encoder_fields``, padded on the right.
            lengths: ``(batch,)`` tokens of each row.
            types: not read; the rows hold them.
            precision: ``"bf16"`` runs under autocast.

        Returns:
            Logits ``(batch, classes)`` in the order of the task's labels.
        """
        numbers = np.asarray(ids, dtype=np.int64)
        tokens = np.asarray(lengths, dtype=np.int64)
        if self.padding != "none" or (tokens == numbers.shape[1]).all():
            return self._forward(numbers, tokens, precision)
        # Rows that cannot be padded are asked by length, in forwards that are not too small.
        answers = np.empty((len(numbers), len(self.labels)), dtype=np.float32)
        for length in np.unique(tokens).tolist():
            at = np.flatnonzero(tokens == length)
            full = np.concatenate([at, np.repeat(at[:1], max(0, TEXTS_AT_ONCE - len(at)))])
            found = self._forward(numbers[full, :length], tokens[full], precision)
            answers[at] = found[: len(at)]
        return answers

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text, given as the string of every field, with the model's tokenizer."""
        return self.encoder_fields.read(fields)

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """Return the probabilities of strings, ``(texts, classes)``, in fp32.

        They are those of plain transformers, in the order of the task's labels. A text's
        probabilities do not depend on the other texts.
        """
        return probs_of_rows(self.logits, [self.read(one) for one in texts], len(self.labels))

    def predict(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.intp]:
        """Return the index of each text's likeliest label, ``(texts,)``."""
        best: NDArray[np.intp] = self.probs_of_texts(texts).argmax(-1)
        return best

    def row_cost(self, texts: Sequence[Mapping[str, str]]) -> float:
        """Estimate the cost of one forward row: parameters x mean token count of ``texts``.

        Word embeddings are left out, because they are looked up.
        """
        parameters: int = sum(each.numel() for each in self.model.parameters())
        parameters -= self.model.get_input_embeddings().weight.numel()
        words = 0
        for fields in texts:
            count = sum(len(text.split()) for text in fields.values())
            words += min(count, self.max_tokens)
        return parameters * max(1.0, words / max(len(texts), 1))

    def _forward(
        self, numbers: NDArray[np.int64], lengths: NDArray[np.int64], precision: Precision
    ) -> NDArray[np.float32]:
        columns = np.arange(numbers.shape[1])
        real = columns < lengths[:, None]
        ids = np.where(real, numbers % self.stride, self.table.pad_id)
        types = np.where(real, numbers // self.stride, 0)
        if self.padding == "left":
            turned = (columns + lengths[:, None]) % numbers.shape[1]
            ids, types, real = (
                np.take_along_axis(array, turned, axis=1) for array in (ids, types, real)
            )
        inputs = {"input_ids": self._tensor(ids), "attention_mask": self._tensor(real)}
        if self.encoder_fields.types:
            inputs["token_type_ids"] = self._tensor(types)
        with (
            torch.inference_mode(),
            torch.autocast(
                torch.device(self.device).type, torch.bfloat16, enabled=precision == "bf16"
            ),
        ):
            logits = self.model(**inputs).logits
        found: NDArray[np.float32] = logits.float().cpu().numpy()[:, self.order]
        return found

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.as_tensor(array.astype(np.int64), device=self.device)
