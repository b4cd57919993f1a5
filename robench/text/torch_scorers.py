"""Masked and causal language models of ``transformers`` as scorers.

Windows are scored in batches of similar length, and the distribution over the vocabulary is
computed only at the places that are read.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench.text.layout import template
from robench.text.scorer import Ratios, Scorer, ScoringRequest, fingerprint, ratios
from robench.text.word_table import WordTable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class _ModelRow:
    """One row for the model.

    Attributes:
        ids: token ids of the row.
        places: indices of the tokens whose distributions are read.
        wanted: (number of a candidate word, its pieces at ``places``), for each word that this row
            scores.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]
    wanted: tuple[tuple[int, tuple[int, ...]], ...]


class TorchScorer(Scorer):
    """Base of the masked and the causal scorer: windows, batches by length, and the forward pass.

    Args:
        model: a ``transformers`` model with a language-model head.
        tokenizer: its tokenizer.
        device: see ``build_scorer``.
        radius: see ``build_scorer``.
        precision: see ``build_scorer``.

    Attributes:
        kind: the part of ``identity`` that names the kind of model.
        batch_size: number of rows in one forward pass.
    """

    kind: str
    batch_size = 128

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: str = "cpu",
        radius: int = 6,
        precision: Precision = "fp32",
    ) -> None:
        if getattr(tokenizer, "pad_token_id", None) is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.table = WordTable(tokenizer, "subword")
        self.tokenizer = tokenizer
        self.radius = radius
        self.precision = precision
        self.device = device
        self.identity = f"{self.kind}:{fingerprint(model, tokenizer)}:{precision}"
        self.model = model.eval().to(device)
        self._gather: tuple[Tensor, Tensor] | None = None
        # The head projects to the whole vocabulary, which is most of a small model's work. The hook
        # therefore passes on only the places that are read.
        self.model.base_model.register_forward_hook(self._select)

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        """See ``Scorer``; the rows of all requests are batched with rows of similar length."""
        words: set[str] = set()
        for request in requests:
            words.update(_window(request, self.radius), request.substitutes)
        self.table.prepare(words)
        # Candidate 0 of each request is the original word. A word without a row keeps -inf.
        candidates = [
            (request.words[request.position], *request.substitutes) for request in requests
        ]
        scores = [np.full(len(words), -np.inf) for words in candidates]
        model_rows: list[tuple[int, _ModelRow]] = []
        for number, request in enumerate(requests):
            model_rows += [
                (number, model_row) for model_row in self._model_rows(request, candidates[number])
            ]
        model_rows.sort(key=lambda item: (len(item[1].ids), len(item[1].places)))
        # A last batch of a few rows would cost nearly as much as a full one, so all are equal.
        batches = max(1, ceil(len(model_rows) / self.batch_size))
        size = max(1, ceil(len(model_rows) / batches))
        for start in range(0, len(model_rows), size):
            self._score(model_rows[start : start + size], scores)
        return [ratios(float(found[0]), found[1:]) for found in scores]

    @abstractmethod
    def _model_rows(self, request: ScoringRequest, candidates: Sequence[str]) -> list[_ModelRow]:
        """Return the rows that score one request."""

    def _context(self, request: ScoringRequest) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the pieces of the context words before and after the position."""
        words, position, radius = request.words, request.position, self.radius
        before = [
            self.table.ids(words[i], first=i == 0)
            for i in range(max(0, position - radius), position)
        ]
        after = [self.table.ids(word) for word in words[position + 1 : position + 1 + radius]]
        return tuple(chain.from_iterable(before)), tuple(chain.from_iterable(after))

    def _pieces(self, request: ScoringRequest, candidates: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the pieces of each candidate, ``()`` for one that the model cannot express."""
        found = [self.table.ids(word, first=request.position == 0) for word in candidates]
        return [() if self.table.unknown_id in pieces else pieces for pieces in found]

    def _select(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """Keep only the hidden states that are read; a forward hook of the base model."""
        if self._gather is not None:
            output["last_hidden_state"] = output["last_hidden_state"][self._gather][None]
        return output

    def _score(self, batch: list[tuple[int, _ModelRow]], scores: list[NDArray[np.float64]]) -> None:
        """Run one forward pass and write the batch's log-probabilities into ``scores``."""
        import torch

        width = max(len(model_row.ids) for _, model_row in batch)
        padding = [self.table.pad_id] * width
        ids = torch.tensor([(*each.ids, *padding[len(each.ids) :]) for _, each in batch])
        lengths = torch.tensor([len(each.ids) for _, each in batch])
        mask = (torch.arange(width) < lengths[:, None]).long()
        # The row and the column of every place that is read.
        rows = [row for row, (_, each) in enumerate(batch) for _ in each.places]
        columns = [place for _, each in batch for place in each.places]
        self._gather = (
            torch.tensor(rows, device=self.device),
            torch.tensor(columns, device=self.device),
        )
        try:
            with (
                torch.inference_mode(),
                torch.autocast(
                    torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bf16"
                ),
            ):
                logits = (
                    self.model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device))
                    .logits[0]
                    .float()
                )
        finally:
            self._gather = None
        self._collect(batch, logits, scores)

    def _collect(
        self, batch: list[tuple[int, _ModelRow]], logits: Tensor, scores: list[NDArray[np.float64]]
    ) -> None:
        """Sum the log-probabilities of each word's pieces, with one gather for the whole batch."""
        import torch

        # For every wanted piece: its line in ``logits`` and its column. For every word: the request
        # and the candidate that its sum belongs to, and the number of its pieces.
        lines: list[int] = []
        pieces: list[int] = []
        owners: list[tuple[int, int, int]] = []
        line = 0
        for number, model_row in batch:
            for word, wanted in model_row.wanted:
                lines += range(line, line + len(wanted))
                pieces += wanted
                owners.append((number, word, len(wanted)))
            line += len(model_row.places)
        index = torch.tensor(lines, device=logits.device)
        columns = torch.tensor(pieces, device=logits.device)
        values = logits[index, columns].double()
        normalisers = values - torch.log_softmax(logits, dim=-1)[index, columns].double()
        # All words of a place get the same one, so that it cancels without an error of rounding.
        # It is no number (nan) where a model forbids a piece (-inf).
        shared = torch.full((len(logits),), -torch.inf, dtype=torch.double, device=logits.device)
        shared.scatter_reduce_(0, index, normalisers.nan_to_num(nan=-torch.inf), "amax")
        found = torch.where(values.isneginf(), values, values - shared[index])
        starts = np.cumsum([0, *(count for *_, count in owners)])[:-1]
        sums = np.add.reduceat(found.cpu().numpy(), starts)
        for (number, word, _), value in zip(owners, sums, strict=True):
            scores[number][word] = value


class MaskedScorer(TorchScorer):
    """A masked language model: it reads the words within the radius, with the position masked.

    A word of n pieces is scored with n masks, by the sum of its pieces' log-probabilities. One row
    scores all words of one length.
    """

    kind = "masked"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: str = "cpu",
        radius: int = 6,
        precision: Precision = "fp32",
    ) -> None:
        if getattr(tokenizer, "mask_token_id", None) is None:
            raise UsageError(
                f"{type(tokenizer).__name__} has no mask token, "
                "so its model cannot score as masked: use causal:ID_OR_PATH."
            )
        super().__init__(model, tokenizer, device, radius, precision)
        # The special tokens before and after a text.
        self._begin, self._end = template(tokenizer, 1).gaps
        self._mask = int(tokenizer.mask_token_id)

    def _model_rows(self, request: ScoringRequest, candidates: Sequence[str]) -> list[_ModelRow]:
        before, after = self._context(request)
        by_count: dict[int, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
        for number, pieces in enumerate(self._pieces(request, candidates)):
            if pieces:
                by_count[len(pieces)].append((number, pieces))
        left = (*self._begin, *before)
        rows = []
        for count, wanted in sorted(by_count.items()):
            masks = [self._mask] * count
            rows.append(
                _ModelRow(
                    ids=(*left, *masks, *after, *self._end),
                    places=tuple(range(len(left), len(left) + count)),
                    wanted=tuple(wanted),
                )
            )
        return rows


class CausalScorer(TorchScorer):
    """A causal language model: the log-likelihood of the window with the word in its place.

    Jia et al. 2019 score with such a model. The pieces before the word are the same for every
    candidate and cancel out, so only those of the word and after it are summed. If the model has a
    beginning-of-text token, it stands before the window.
    """

    kind = "causal"
    batch_size = 64

    def _model_rows(self, request: ScoringRequest, candidates: Sequence[str]) -> list[_ModelRow]:
        before, after = self._context(request)
        start = getattr(self.tokenizer, "bos_token_id", None)
        left = before if start is None else (int(start), *before)
        rows = []
        for number, pieces in enumerate(self._pieces(request, candidates)):
            if pieces:
                wanted = (*pieces, *after)
                # Without a beginning token, the first piece of a text has no distribution of its
                # own. It is left out for every candidate.
                skip = 0 if left else 1
                places = tuple(range(len(left) + skip - 1, len(left) + len(wanted) - 1))
                if places:
                    rows.append(_ModelRow((*left, *wanted), places, ((number, wanted[skip:]),)))
        return rows


def _window(request: ScoringRequest, radius: int) -> tuple[str, ...]:
    """Return the words within ``radius`` of the position, the position included."""
    return request.words[max(0, request.position - radius) : request.position + radius + 1]
