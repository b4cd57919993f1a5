"""Reading columns of a hub data set, and the one sentence when that fails."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import datasets
import huggingface_hub
import pytest
from publishers import Hub

from robench.tasks import hub


def test_the_named_columns_are_read_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
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
        match=(
            r"^The hub's some/set cannot be read \(\w+: .+\)\. "
            r"Name a folder that holds the data with --data\.$"
        ),
    ) as caught:
        hub.read_rows("some/set", "train", ("text",))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_column_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub({("some/set", "train"): {"text": ["a"]}}))
    with pytest.raises(hub.HubUnavailable, match="label"):
        hub.read_rows("some/set", "train", ("text", "label"))


def test_without_the_package_datasets_the_sentence_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(hub.HubUnavailable) as caught:
        hub.read_rows("some/set", "train", ("text",))
    assert str(caught.value) == (
        "The hub's some/set needs the package 'datasets', which cannot be imported "
        "(pip install 'robench[hub]'). Name a folder that holds the data with --data."
    )
    assert caught.value.exit_code == 2


def test_importing_the_tasks_does_not_import_datasets() -> None:
    program = (
        "import sys, robench.tasks.imdb, robench.tasks.snli; sys.exit('datasets' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_keyboard_interrupt_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        hub.read_rows("some/set", "train", ("text",))


@pytest.mark.parametrize("resolves", [True, False])
def test_without_a_name_server_only_the_cache_is_read(
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


def test_behind_a_proxy_no_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("looked up")

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(datasets, "load_dataset", Hub({("some/set", "train"): {"text": ["a"]}}))
    assert list(hub.read_rows("some/set", "train", ("text",))) == [("a",)]
