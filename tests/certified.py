"""Small victims, spaces and certificates for tests of certification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from records import sha

from robench.protocol import get_protocol
from robench.records.certificate import Certificate
from robench.records.record import digest_of_ids
from robench.testing.random_models import PAD, classifier
from robench.text.space import SearchSpace


class SmallVictim:
    """A random classifier that answers rows, and counts them.

    Args:
        family: of ``robench.testing.random_models``.
        scale: factor of the head's last layer.
    """

    def __init__(self, family: str = "bert", seed: int = 0, scale: float = 1.0) -> None:
        self.model = classifier(family, classes=2, seed=seed).eval()
        self.asked = 0
        with torch.no_grad():
            for parameter in self.model.head[-1].parameters():
                parameter.mul_(scale)

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
    ) -> NDArray[np.float32]:
        """Return the logits of rows."""
        self.asked += len(ids)
        rows = torch.as_tensor(ids.astype(np.int64))
        mask = torch.arange(rows.shape[1]) < torch.as_tensor(lengths.astype(np.int64))[:, None]
        with torch.no_grad():
            found = self.model(rows, mask.long())
        return np.asarray(found.numpy(), dtype=np.float32)


class WordRows:
    """Makes the rows of a space from the token ids of each word, between 2 and 3.

    Args:
        space: the space.
        ids: word -> its token ids.
        longest: number of tokens at which rows are cut.
    """

    def __init__(
        self, space: SearchSpace, ids: Mapping[str, Sequence[int]], longest: int = 40
    ) -> None:
        self._space, self._ids, self._longest = space, ids, longest

    def types(self, length: int) -> NDArray[np.int8]:
        """Return types of 0."""
        return np.zeros(length, dtype=np.int8)

    def encode(self, choices: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the rows of choices and their lengths."""
        rows = []
        for choice in choices:
            inner = [id for word in self._space.text(choice) for id in self._ids[word]]
            rows.append([2, *inner[: self._longest - 2], 3])
        lengths = np.array([len(row) for row in rows], dtype=np.int32)
        ids = np.full((len(rows), int(lengths.max())), PAD, dtype=np.int32)
        for line, row in zip(ids, rows, strict=True):
            line[: len(row)] = row
        return ids, lengths

    def encode_without(
        self, choice: NDArray[np.int16], positions: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Do nothing: certificates do not ask this."""
        raise NotImplementedError


def space_of(*options: str, visible: int | None = None) -> SearchSpace:
    """Return a space from texts such as ``"good fine nice"``, one for each word."""
    listed = tuple(tuple(each.split()) for each in options)
    words = tuple(each[0] for each in listed)
    return SearchSpace(words, listed, len(words) if visible is None else visible)


def make_certificate(
    letters: str,
    *,
    defense: str = "standard",
    method: str = "bounds",
    constrained: bool = True,
    smoothed: bool = False,
    seed: int = 0,
    limit: int | None = None,
    examples: int | None = None,
    rules: str | None = None,
    **fields: Any,
) -> Certificate:
    """Return a certificate with these letters, of the victim that ``records.make_record`` names.

    Args:
        fields: override fields of the certificate.
    """
    values: dict[str, Any] = {
        "key": sha(f"certificate {defense} {method} {constrained} {seed}"),
        "method": method,
        "options": {"texts": 10, "parts": 4},
        "row": defense,
        "row_name": defense,
        "smoothed": smoothed,
        "victim": {
            "kind": "trained",
            "name": None,
            "sha256": sha(f"{defense} {seed}"),
            "configuration": sha(f"conf {defense} {seed}"),
            "training_code_sha256": sha("training"),
            "precision": "fp32",
            "findings": (),
            "given": None,
        },
        "task": {
            "name": "toy",
            "test_name": "frozen-1000",
            "digest": sha("toy"),
            "examples": examples or len(letters),
            "train_pool": "train",
            "synthetic": True,
        },
        "protocol": get_protocol("rift2021"),
        "space": {
            "key": sha("surface"),
            "rules": rules or sha("rules"),
            "language_model": "masked:tiny",
            "constrained": constrained,
        },
        "seed": seed,
        "limit": limit,
        "letters": letters,
        "positions": tuple(range(len(letters))),
        "reasons": {"C: enumeration": len(letters)},
        "hull": 0,
        "ids_digest": digest_of_ids(str(i) for i in range(len(letters))),
        "error": 0.01 if method == "smoothing" else None,
        "seconds": 1.5,
        "code_sha256": sha("certification"),
        "software": {"robench": "0.1.0", "versions": {"torch": "2.13.0"}, "device": "CPU"},
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return Certificate(**(values | fields))
