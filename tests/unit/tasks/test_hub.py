"""Reading columns of a hub data set, and the one sentence when that fails."""

from __future__ import annotations

import socket
from typing import Any

import datasets
import huggingface_hub
import pytest
from publishers import Hub

from robench.tasks import hub


def test_the_hub_hands_out_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        Hub({("some/set", "train"): {"label": [1, 0], "extra": [None, None], "text": ["a", "b"]}}),
    )
    assert list(hub.read_rows("some/set", "train", ("text", "label"))) == [("a", 1), ("b", 0)]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no route\nmore"),
        FileNotFoundError("no script"),
        ValueError(""),
        RuntimeError("odd."),
    ],
)
def test_whatever_the_hub_raises_becomes_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(
        hub.HubUnavailable,
        match=r"^The hub's some/set cannot be had \(\w+: .+\)\. Name a folder that holds the data with --data\.$",
    ) as caught:
        hub.read_rows("some/set", "train", ("text",))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_column_that_is_not_there_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub({("some/set", "train"): {"text": ["a"]}}))
    with pytest.raises(hub.HubUnavailable, match="label"):
        hub.read_rows("some/set", "train", ("text", "label"))


def test_ctrl_c_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        hub.read_rows("some/set", "train", ("text",))


@pytest.mark.parametrize("resolves", [True, False])
def test_without_a_name_server_only_the_cache_is_asked(
    monkeypatch: pytest.MonkeyPatch, resolves: bool
) -> None:
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    seen = []

    def look_up(*_: Any) -> list[Any]:
        if not resolves:
            raise socket.gaierror(-2, "Name or service not known")
        return []

    def note(*_: Any, **__: Any) -> datasets.Dataset:
        seen.append((huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE))
        return datasets.Dataset.from_dict({"text": ["a"]})

    for name in (
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(datasets, "load_dataset", note)
    assert list(hub.read_rows("some/set", "train", ("text",))) == [("a",)]
    assert seen == [(before, before)] if resolves else seen == [(True, True)]
    assert before == huggingface_hub.constants.HF_HUB_OFFLINE == datasets.config.HF_HUB_OFFLINE


def test_behind_a_proxy_names_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("looked up")

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(datasets, "load_dataset", Hub({("some/set", "train"): {"text": ["a"]}}))
    assert list(hub.read_rows("some/set", "train", ("text",))) == [("a",)]
