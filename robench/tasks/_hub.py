"""Datasets from the Hugging Face hub, or from the copy that an earlier download left in its cache."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from robench.errors import UsageError


class HubUnavailable(UsageError):
    """The hub's data cannot be had; ``reason`` is a clause without a full stop for a longer sentence."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason[0].upper()}{reason[1:]}. Name a folder that holds the data with --data.")


def rows(dataset: str, split: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The named columns of a hub dataset's split, row by row.

    Raises:
        HubUnavailable: no network, HF_HUB_OFFLINE and nothing cached, or another layout than expected.
    """
    try:
        import datasets

        with _no_pointless_retries():
            table = datasets.load_dataset(dataset, split=split)
        values = [list(table[column]) for column in columns]
    except Exception as error:  # the hub's libraries raise whatever their transport raises
        words = (str(error).strip() or "no reason given").splitlines()[0].rstrip(".")[:200]
        raise HubUnavailable(f"the hub's {dataset} cannot be had ({type(error).__name__}: {words})") from error
    return zip(*values, strict=True)


@contextmanager
def _no_pointless_retries() -> Iterator[None]:
    """Where the hub's name does not resolve, look into its cache only: the hub's client would retry for 23 s and log every time."""
    import datasets
    import huggingface_hub

    if _resolves(huggingface_hub.constants.ENDPOINT):
        yield
        return
    before = huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _resolves(endpoint: str) -> bool:
    if any(name.lower() in ("https_proxy", "http_proxy", "all_proxy") and value for name, value in os.environ.items()):
        return True  # the proxy looks names up
    try:
        socket.getaddrinfo(urlsplit(endpoint).hostname, 443)
    except OSError:
        return False
    return True
