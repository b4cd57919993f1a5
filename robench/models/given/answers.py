"""Call a user's function in batches, check what comes back, and keep the answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import RobenchError
from robench.models.given.function_texts import Texts

Predict = Callable[[list[Any]], Any]
"""Takes texts (or pairs of texts) and returns probabilities ``(texts, classes)``, array-like."""
SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from the sum 1."""
MEMORY_LIMIT = 2**17
"""Number of texts whose answers are kept."""


class FunctionAnswers:
    """The answers of one function.

    Args:
        predict: the function.
        labels: the task's labels.
        name: the name for people.
        batch_size: most texts of one call.
        order: for each label of the task, the number of the function's column. None means that
            the columns stand in the order of ``labels``.
        draws: how often a text is asked; its answer is the mean. 1 is for a function that gives
            a text the same answer each time.

    Attributes:
        order, draws: as given, with None written out.
        calls, asked: how often the function was called, and with how many texts in all.
    """

    def __init__(
        self,
        predict: Predict,
        labels: Sequence[str],
        name: str,
        batch_size: int,
        order: Sequence[int] | None = None,
        draws: int = 1,
    ) -> None:
        self.draws = draws
        self._predict, self._labels, self._name = predict, tuple(labels), name
        self._batch_size = batch_size
        self.order = tuple(range(len(self._labels)) if order is None else order)
        self._known: OrderedDict[bytes, NDArray[np.float64]] = OrderedDict()
        self.calls = self.asked = 0

    def remembered(self, texts: Sequence[Texts]) -> NDArray[np.float64]:
        """Return probabilities ``(texts, classes)``; only texts without an answer are asked."""
        keys = [_key(text) for text in texts]
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        for key in keys:
            if key in self._known:
                self._known.move_to_end(key)
        self._ask(list(fresh.values()))
        found = np.array([self._known[key] for key in keys])
        self._forget_oldest()
        return found

    def anew(self, texts: Sequence[Texts]) -> NDArray[np.float64]:
        """Ask the function about every text; return probabilities ``(texts, classes)``.

        The answers are kept, so nobody has to ask about these texts again. Where an answer is a
        mean over draws, a text that was asked keeps its answer.
        """
        if self.draws > 1:
            return self.remembered(texts)
        answers = self._ask(texts)
        self._forget_oldest()
        return answers

    def _ask(self, texts: Sequence[Texts]) -> NDArray[np.float64]:
        """Ask about every text in batches, and keep the answers."""
        parts = [np.empty((0, len(self._labels)))]
        for start in range(0, len(texts), self._batch_size):
            part = texts[start : start + self._batch_size]
            shown = [text[0] if len(text) == 1 else text for text in part]
            answers = np.zeros((len(part), len(self._labels)))
            for _ in range(self.draws):
                self.calls += 1
                self.asked += len(part)
                answers += self._checked(self._asked(shown), len(part)) / self.draws
            # Each part is kept before the next one is asked, because a later call may fail.
            self._known.update(zip(map(_key, part), answers, strict=True))
            parts.append(answers)
        return np.concatenate(parts)

    def _forget_oldest(self) -> None:
        while len(self._known) > MEMORY_LIMIT:
            self._known.popitem(last=False)

    def _asked(self, shown: list[Any]) -> Any:
        """Call the function; an error inside it becomes one that names the function."""
        try:
            return self._predict(shown)
        except Exception as error:
            raise RobenchError(
                f"The function '{self._name}' failed: {type(error).__name__}: {error}"
            ) from error

    def _checked(self, answer: Any, texts: int) -> NDArray[np.float64]:
        """Return the answer as probabilities in the task's order, whose rows sum to 1.

        Raises:
            RobenchError: it is none.
        """
        wanted = f"an array of shape ({texts}, {len(self._labels)})"
        try:
            probs = np.asarray(answer, dtype=np.float64)
        except Exception as error:
            raise self._wrong(wanted, f"{type(answer).__name__}, which is no array") from error
        if probs.shape != (texts, len(self._labels)):
            columns = [self._labels[self.order.index(at)] for at in range(len(self.order))]
            raise self._wrong(
                f"{wanted}: a row for each text, a column for each of {', '.join(columns)}",
                f"shape {probs.shape}",
            )
        if not np.isfinite(probs).all():
            raise self._wrong("finite numbers", "NaN or infinite numbers")
        if (probs < 0).any():
            raise self._wrong("probabilities", f"the negative number {probs.min():.6g}")
        sums = probs.sum(axis=1)
        worst = sums[np.abs(sums - 1).argmax()] if texts else 1.0
        if abs(worst - 1) > SUM_TOLERANCE:
            raise self._wrong("probabilities that sum to 1", f"a row with the sum {worst:.6g}")
        return np.asarray(probs / sums[:, None])[:, self.order]

    def _wrong(self, wanted: str, found: str) -> RobenchError:
        return RobenchError(
            f"The function '{self._name}' must return {wanted}, but it returned {found}."
        )


def _key(texts: Texts) -> bytes:
    digest = blake2b(digest_size=16)
    for text in texts:
        part = text.encode("utf-8", "surrogatepass")
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
