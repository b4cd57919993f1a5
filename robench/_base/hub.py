"""The Hugging Face hub where there is none: its clients are told at once instead of retrying file by file."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit


@contextmanager
def no_pointless_retries() -> Iterator[None]:
    """Where the hub's name does not resolve, look into its cache only: its client would retry for 23 s a file and log every time."""
    import huggingface_hub.constants

    if _resolves(huggingface_hub.constants.ENDPOINT):
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(_offline(huggingface_hub.constants))
        if "datasets" in sys.modules:  # not imported for this alone: it takes a second
            stack.enter_context(_offline(sys.modules["datasets"].config))
        yield


@contextmanager
def _offline(settings: Any) -> Iterator[None]:
    before = settings.HF_HUB_OFFLINE
    settings.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        settings.HF_HUB_OFFLINE = before


def _resolves(endpoint: str) -> bool:
    if any(
        name.lower() in ("https_proxy", "http_proxy", "all_proxy") and value
        for name, value in os.environ.items()
    ):
        return True  # the proxy looks names up
    try:
        socket.getaddrinfo(urlsplit(endpoint).hostname, 443)
    except OSError:
        return False
    return True
