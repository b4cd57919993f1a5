"""Faster failure where the Hugging Face hub cannot be reached."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

PROXY_VARIABLES = ("https_proxy", "http_proxy", "all_proxy")


@contextmanager
def no_pointless_retries() -> Iterator[None]:
    """Use only the hub's cache where the hub's host name does not resolve.

    Without this, the hub's client retries for 23 seconds per file and logs every attempt.
    """
    import huggingface_hub.constants

    if _resolves(huggingface_hub.constants.ENDPOINT):
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(_offline(huggingface_hub.constants))
        # Importing datasets takes a second. If it is not imported yet, it reads the setting above.
        if "datasets" in sys.modules:
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
    # Behind a proxy, the proxy resolves host names and this machine may not be able to.
    for variable, value in os.environ.items():
        if variable.lower() in PROXY_VARIABLES and value:
            return True
    try:
        socket.getaddrinfo(urlsplit(endpoint).hostname, 443)
    except OSError:
        return False
    return True
