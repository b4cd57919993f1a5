"""Datasets from the Hugging Face hub, or from the local copy that an earlier download left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from robench._base.errors import UsageError
from robench._base.hub import no_pointless_retries


class HubUnavailable(UsageError):
    """The hub's data cannot be read.

    Attributes:
        reason: a clause without a full stop, so that a caller can put it into a longer sentence.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason[0].upper()}{reason[1:]}. Name a folder that holds the data with --data."
        )


def read_rows(
    dataset: str, split: str, columns: Sequence[str], config: str | None = None
) -> Iterator[tuple[Any, ...]]:
    """Read the named columns of one split of a hub dataset, row by row.

    Args:
        dataset: the dataset's id.
        split: name of the split.
        columns: names of the columns.
        config: one of several parts of the dataset; None where it has no parts.

    Raises:
        HubUnavailable: the package ``datasets`` is not installed, there is no network,
            HF_HUB_OFFLINE is set and nothing is cached, or the dataset has other columns.
    """
    # Importing `datasets` takes seconds, so it is imported only when the hub is really needed.
    try:
        import datasets
    except ImportError as error:
        raise HubUnavailable(
            f"the hub's {dataset} needs the package 'datasets', which cannot be imported "
            "(pip install 'robench[hub]')"
        ) from error
    # The hub's libraries raise whatever their transport raises, so any exception is caught.
    try:
        with no_pointless_retries():
            part = () if config is None else (config,)
            table = datasets.load_dataset(dataset, *part, split=split)
        values = [list(table[column]) for column in columns]
    except Exception as error:
        first_line = (str(error).strip() or "no reason given").splitlines()[0]
        words = first_line.rstrip(".")[:200]
        raise HubUnavailable(
            f"the hub's {dataset} cannot be read ({type(error).__name__}: {words})"
        ) from error
    return zip(*values, strict=True)
