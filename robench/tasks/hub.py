"""Datasets from the Hugging Face hub, or from the copy that an earlier download left in its cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from robench._base.errors import UsageError
from robench._base.hub import no_pointless_retries


class HubUnavailable(UsageError):
    """The hub's data cannot be had; ``reason`` is a clause without a full stop for a longer sentence."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason[0].upper()}{reason[1:]}. Name a folder that holds the data with --data."
        )


def read_rows(dataset: str, split: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The named columns of a hub dataset's split, row by row.

    Raises:
        HubUnavailable: no network, HF_HUB_OFFLINE and nothing cached, or another layout than expected.
    """
    try:
        import datasets

        with no_pointless_retries():
            table = datasets.load_dataset(dataset, split=split)
        values = [list(table[column]) for column in columns]
    except Exception as error:  # the hub's libraries raise whatever their transport raises
        words = (str(error).strip() or "no reason given").splitlines()[0].rstrip(".")[:200]
        raise HubUnavailable(
            f"the hub's {dataset} cannot be had ({type(error).__name__}: {words})"
        ) from error
    return zip(*values, strict=True)
