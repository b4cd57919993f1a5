from __future__ import annotations

import socket
from typing import Any

import pytest
from huggingface_hub import constants

from robench._base.hub import no_pointless_retries


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove proxies: a proxy would resolve host names itself."""
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
    """Answer as a machine without a network does."""
    raise socket.gaierror("no such name")


def test_an_unreachable_hub_is_offline_inside_the_block_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with no_pointless_retries():
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is False


def test_the_setting_is_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(ZeroDivisionError), no_pointless_retries():
        raise ZeroDivisionError
    assert constants.HF_HUB_OFFLINE is False


def test_nothing_changes_where_the_hub_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with no_pointless_retries():
        assert constants.HF_HUB_OFFLINE is False


def test_nothing_changes_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    with no_pointless_retries():
        assert constants.HF_HUB_OFFLINE is False


def test_the_decorator_works_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)

    @no_pointless_retries()
    def offline() -> bool:
        return bool(constants.HF_HUB_OFFLINE)

    assert [offline(), offline(), bool(constants.HF_HUB_OFFLINE)] == [True, True, False]
