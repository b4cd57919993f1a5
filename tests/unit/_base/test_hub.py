from __future__ import annotations

import socket
from typing import Any

import pytest
from huggingface_hub import constants

from robench._base.hub import no_pointless_retries


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look names up itself."""
    for name in (
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def unreachable(*_: Any, **__: Any) -> Any:
    """What a machine without a network answers."""
    raise socket.gaierror("no such name")


def test_offline_inside_and_as_before_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with no_pointless_retries():
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is False


def test_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(ZeroDivisionError), no_pointless_retries():
        raise ZeroDivisionError
    assert constants.HF_HUB_OFFLINE is False


def test_untouched_where_the_hub_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with no_pointless_retries():
        assert constants.HF_HUB_OFFLINE is False


def test_untouched_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    with no_pointless_retries():
        assert constants.HF_HUB_OFFLINE is False


def test_as_a_decorator_it_can_be_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)

    @no_pointless_retries()
    def offline() -> bool:
        return bool(constants.HF_HUB_OFFLINE)

    assert [offline(), offline(), bool(constants.HF_HUB_OFFLINE)] == [True, True, False]
