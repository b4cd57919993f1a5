"""Masked and causal language models of ``transformers`` as scorers: windows in batches of like length, distributions only where they are read."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench.text.scorer import Ratios, Request, Scorer, fingerprint, ratios
from robench.text.word_table import WordTable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class _Cell:
    """One row for the model: ``ids``, and for each piece wanted the place whose distribution is read, the column in the vocabulary, and where the sum goes."""

    ids: tuple[int, ...]
    places: tuple[int, ...]
    wanted: tuple[
        tuple[int, tuple[int, ...]], ...
    ]  # (number of the word, its pieces at the places)


class TorchScorer(Scorer):
    """What masked and causal models share: windows, batches by length, distributions only where they are read.

    Args:
        model: a ``transformers`` model with a language-model head.
        tokenizer: its tokenizer.
        device, radius, precision: see ``build_scorer``.
        batch_size: rows of one forward.
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
        # The head (a projection to the whole vocabulary) is most of a small model's work, so it sees only the places that are read.
        self.model.base_model.register_forward_hook(self._select)

    def log_ratios(self, requests: Sequence[Request]) -> list[Ratios]:
        """See ``Scorer``; rows of all requests are pooled into batches of like length."""
        self.table.prepare(
            word
            for request in requests
            for word in (*_window(request, self.radius), *request.substitutes)
        )
        candidates = [
            (request.words[request.position], *request.substitutes) for request in requests
        ]
        scores = [np.full(len(words), -np.inf) for words in candidates]
        cells: list[tuple[int, _Cell]] = []
        for number, request in enumerate(requests):
            cells += [(number, cell) for cell in self._cells(request, candidates[number])]
        cells.sort(key=lambda item: (len(item[1].ids), len(item[1].places)))
        for start in range(0, len(cells), self.batch_size):
            self._score(cells[start : start + self.batch_size], scores)
        return [ratios(float(found[0]), found[1:]) for found in scores]

    @abstractmethod
    def _cells(self, request: Request, candidates: Sequence[str]) -> list[_Cell]:
        """The rows that answer one request."""

    def _context(self, request: Request) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Pieces of the context words before and after the position."""
        words, position, radius = request.words, request.position, self.radius
        before = [
            self.table.ids(words[i], first=i == 0)
            for i in range(max(0, position - radius), position)
        ]
        after = [self.table.ids(word) for word in words[position + 1 : position + 1 + radius]]
        return tuple(i for ids in before for i in ids), tuple(i for ids in after for i in ids)

    def _pieces(self, request: Request, candidates: Sequence[str]) -> list[tuple[int, ...]]:
        """Pieces of each candidate; ``()`` for one that the model cannot express."""
        found = [self.table.ids(word, first=request.position == 0) for word in candidates]
        return [() if self.table.unknown_id in pieces else pieces for pieces in found]

    def _select(self, _module: Any, _inputs: Any, output: Any) -> Any:
        if self._gather is not None:
            output["last_hidden_state"] = output["last_hidden_state"][self._gather][None]
        return output

    def _score(self, batch: list[tuple[int, _Cell]], scores: list[NDArray[np.float64]]) -> None:
        import torch

        width = max(len(cell.ids) for _, cell in batch)
        ids = torch.full((len(batch), width), self.table.pad_id)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, (_, cell) in enumerate(batch):
            ids[row, : len(cell.ids)] = torch.tensor(cell.ids)
            mask[row, : len(cell.ids)] = 1
        rows = [row for row, (_, cell) in enumerate(batch) for _ in cell.places]
        columns = [place for _, cell in batch for place in cell.places]
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
        self, batch: list[tuple[int, _Cell]], logits: Tensor, scores: list[NDArray[np.float64]]
    ) -> None:
        """Sum the log-probabilities of each word's pieces: one gather for the whole batch."""
        import torch

        lines: list[int] = []
        pieces: list[int] = []
        owners: list[tuple[int, int, int]] = []
        line = 0
        for number, cell in batch:
            for word, wanted in cell.wanted:
                lines += range(line, line + len(wanted))
                pieces += wanted
                owners.append((number, word, len(wanted)))
            line += len(cell.places)
        index = torch.tensor(lines, device=logits.device)
        found = (
            logits[index, torch.tensor(pieces, device=logits.device)].double()
            - torch.logsumexp(logits, dim=-1).double()[index]
        )
        sums = np.add.reduceat(
            found.cpu().numpy(), np.cumsum([0, *(count for *_, count in owners)])[:-1]
        )
        for (number, word, _), value in zip(owners, sums, strict=True):
            scores[number][word] = value


class MaskedScorer(TorchScorer):
    """Masked language model: the position is masked, its neighbours within the radius are read.

    A word of n pieces is scored with n masks by the sum of its pieces' log-probabilities, so one forward answers for all words of one length.
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
                f"{type(tokenizer).__name__} has no mask token, so its model cannot score as masked: use causal:ID_OR_PATH."
            )
        super().__init__(model, tokenizer, device, radius, precision)
        encoded = tokenizer("a", return_special_tokens_mask=True)
        special = [bool(mark) for mark in encoded["special_tokens_mask"]]
        first, last = special.index(False), len(special) - special[::-1].index(False)
        self._begin, self._end = (
            tuple(encoded["input_ids"][:first]),
            tuple(encoded["input_ids"][last:]),
        )

    def _cells(self, request: Request, candidates: Sequence[str]) -> list[_Cell]:
        before, after = self._context(request)
        by_count: dict[int, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
        for number, pieces in enumerate(self._pieces(request, candidates)):
            if pieces:
                by_count[len(pieces)].append((number, pieces))
        left = (*self._begin, *before)
        return [
            _Cell(
                (*left, *[self.tokenizer.mask_token_id] * count, *after, *self._end),
                tuple(range(len(left), len(left) + count)),
                tuple(wanted),
            )
            for count, wanted in sorted(by_count.items())
        ]


class CausalScorer(TorchScorer):
    """Causal language model: total log-likelihood of the window with the word in place (Jia et al. 2019 score with such a model).

    Pieces before the word are the same for every candidate and cancel, so only the word's and the following ones are summed. The model's beginning-of-text
    token, where it has one, stands before the window.
    """

    kind = "causal"
    batch_size = 64

    def _cells(self, request: Request, candidates: Sequence[str]) -> list[_Cell]:
        before, after = self._context(request)
        start = getattr(self.tokenizer, "bos_token_id", None)
        left = before if start is None else (int(start), *before)
        cells = []
        for number, pieces in enumerate(self._pieces(request, candidates)):
            if pieces:
                wanted = (*pieces, *after)
                # Without a beginning token the very first piece of a text has no distribution of its own and is left out for every candidate.
                skip = 0 if left else 1
                places = tuple(range(len(left) + skip - 1, len(left) + len(wanted) - 1))
                if places:
                    cells.append(_Cell((*left, *wanted), places, ((number, wanted[skip:]),)))
        return cells


def _window(request: Request, radius: int) -> tuple[str, ...]:
    return request.words[max(0, request.position - radius) : request.position + radius + 1]
