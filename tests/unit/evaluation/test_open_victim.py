"""A victim for single texts is found in a folder, in the home folder, or on the hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_hub import FakeHub, use_fake_hub
from saved_victims import victim

import robench
from robench import UsageError
from robench.cli import main
from robench.evaluation.open_victim import fields_of, local_location, open_victim
from robench.sharing.push import pack, push

REPO = "me/some-victim"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a home folder with the victim ``v``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    victim(labels=["bad", "good", "odd"]).save(tmp_path / "v")
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, home: Path) -> FakeHub:
    """Return a hub with the same victim."""
    hub = use_fake_hub(monkeypatch, home / "hub")
    push(pack(home / "v", REPO))
    return hub


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("location", [f"hf:{REPO}", f"hf:{REPO}@main", "~/v"])
def test_a_victim_is_found(location: str, home: Path) -> None:
    assert fields_of(location) == ("text",)
    opened = open_victim(location, "cpu")
    assert opened.victim.sha256 == open_victim(str(home / "v"), "cpu").victim.sha256
    found = robench.attack("A good film", location, "random", substitutions="mini", lm="none")
    assert isinstance(found, robench.AttackedText)


@pytest.mark.usefixtures("hub")
def test_the_command_takes_a_victim_of_the_hub() -> None:
    words = ["attack", "A good film", "--victim", f"hf:{REPO}", "--attack", "random"]
    result = CliRunner().invoke(main, [*words, "--substitutions", "mini", "--lm", "none"])
    assert result.exit_code == 0, result.output
    assert f"Getting the victim hf:{REPO} from the hub or its cache." in result.stderr


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("hf:me/nothing", "There is no repository 'me/nothing'"),
        ("hf:nothing", "'nothing' is no repository"),
        (f"hf:{REPO}@", "names no revision"),
        ("~/nothing", "there is no such folder"),
        ("~nobody-of-this-name/v", "there is no such folder"),
    ],
)
def test_what_is_not_there_is_one_sentence(location: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        fields_of(location)
    with pytest.raises(UsageError, match=sentence):
        open_victim(location, "cpu")


def test_a_folder_and_a_hub_id_stay_as_they_are() -> None:
    for location in ("runs/victims/x", "bert-base-uncased", "me/model", "./v"):
        assert local_location(location) == location
