"""Victims go to the hub and come back the same; everything else is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub, use_fake_hub
from huggingface_hub import HfApi, errors
from saved_victims import save_as_schema_1, victim

import robench
from robench import RobenchError, UsageError
from robench.models.victim_folder import read_card
from robench.sharing.hub import HubLocation, download_victim, hub_location
from robench.sharing.push import pack, push

REPO = "me/some-victim"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    return use_fake_hub(monkeypatch, tmp_path / "hub")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    victim().save(tmp_path / "v")
    (tmp_path / "v" / "training.json").write_text('{"log": 1}')
    (tmp_path / "v" / "notes of mine.txt").write_text("private")
    return tmp_path / "v"


def test_a_location_on_the_hub_is_read() -> None:
    assert hub_location("hf:me/x") == HubLocation("me/x")
    assert hub_location("hf:me/x@v1.0") == HubLocation("me/x", "v1.0")
    assert hub_location("me/x") is None
    assert hub_location("runs/victims/hf:x") is None


@pytest.mark.parametrize("text", ["hf:", "hf:x", "hf:a/b/c", "hf:a b/c", "hf:../x", "hf:a/b@"])
def test_a_location_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"USER/NAME|names no revision"):
        hub_location(text)


def test_a_victim_goes_to_the_hub_and_comes_back(hub: FakeHub, saved: Path) -> None:
    parcel = pack(saved, REPO)
    assert set(parcel.files) == {*read_card(saved)["files"], "victim.json", "README.md"}
    assert push(parcel) == f"{hub.endpoint}/{REPO}"
    assert hub.private == {REPO: True}
    assert hub.messages == ["Upload standard on planted, made with robench"]
    assert set(hub.list_repo_files(REPO)) == set(parcel.files)
    back = robench.load_victim(f"hf:{REPO}@main", "cpu")
    texts = ["a good film", "bad"]
    expected = victim().probs_of_texts([{"text": text} for text in texts])
    np.testing.assert_array_equal(back.probabilities(texts), expected)
    assert f'load_victim("hf:{REPO}")' in (hub.folder(REPO) / "README.md").read_text()
    # Nothing was written into the victim's own folder.
    assert not (saved / "README.md").exists()


def test_the_same_victim_can_be_sent_again_and_another_cannot(
    hub: FakeHub, saved: Path, tmp_path: Path
) -> None:
    push(pack(saved, REPO), public=True)
    push(pack(saved, REPO))
    assert hub.private == {REPO: False}
    victim(seed=3).save(tmp_path / "other")
    with pytest.raises(UsageError, match=f"'{REPO}' holds another victim .standard on planted"):
        push(pack(tmp_path / "other", REPO))


def test_a_repository_of_another_model_is_left_alone(hub: FakeHub, saved: Path) -> None:
    hub.folder(REPO).mkdir(parents=True)
    (hub.folder(REPO) / "README.md").write_text("empty repository")
    push(pack(saved, REPO))
    other = "me/bert"
    hub.folder(other).mkdir()
    (hub.folder(other) / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds something else than a victim"):
        push(pack(saved, other))
    with pytest.raises(UsageError, match=r"holds no victim of robench: it has no 'victim\.json'"):
        download_victim(HubLocation(other))


def test_files_that_are_not_on_the_card_are_neither_sent_nor_fetched(
    hub: FakeHub, saved: Path
) -> None:
    push(pack(saved, REPO))
    (hub.folder(REPO) / "evil.py").write_text("raise SystemExit")
    folder = download_victim(HubLocation(REPO))
    assert not (folder / "evil.py").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer/tokenizer.json"])
def test_a_file_that_changed_on_the_hub_is_refused(hub: FakeHub, saved: Path, name: str) -> None:
    push(pack(saved, REPO))
    with (hub.folder(REPO) / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(RobenchError, match=r"is damaged: its SHA-256"):
        robench.load_victim(f"hf:{REPO}", "cpu")


def test_a_damaged_or_old_victim_is_not_sent(saved: Path, tmp_path: Path) -> None:
    (saved / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"config\.json' is damaged"):
        pack(saved, REPO)
    save_as_schema_1(victim(), tmp_path / "old")
    with pytest.raises(UsageError, match=r"an older robench.*Save it anew"):
        pack(tmp_path / "old", REPO)
    with pytest.raises(UsageError, match="holds no victim"):
        pack(tmp_path, REPO)
    with pytest.raises(UsageError, match="is no repository"):
        pack(saved, "only-a-name")


def test_what_is_not_on_the_hub_is_one_sentence(hub: FakeHub, saved: Path) -> None:
    with pytest.raises(UsageError, match="There is no repository 'me/nothing'"):
        robench.load_victim("hf:me/nothing", "cpu")
    push(pack(saved, REPO))
    with pytest.raises(UsageError, match="has no such revision"):
        robench.load_victim(f"hf:{REPO}@v9", "cpu")


def test_without_a_token_nothing_is_sent(
    hub: FakeHub, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UsageError, match=r"no token for the Hugging Face hub.*HF_TOKEN"):
        push(pack(saved, REPO))
    assert not hub.repo_exists(REPO)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.OfflineModeIsEnabled("offline"), "cannot be reached"),
        (ConnectionError("no route"), "cannot be reached"),
        (errors.LocalEntryNotFoundError("not cached"), "cannot be reached"),
    ],
)
def test_no_network_is_one_sentence(
    error: Exception, sentence: str, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(hub, "hf_hub_download", fail)
    with pytest.raises(UsageError, match=sentence):
        robench.load_victim(f"hf:{REPO}", "cpu")


def test_the_fake_has_the_methods_and_parameters_of_the_real_client() -> None:
    import inspect

    for name in ("hf_hub_download", "snapshot_download", "create_repo", "create_commit"):
        real = set(inspect.signature(getattr(HfApi, name)).parameters)
        fake = list(inspect.signature(getattr(FakeHub, name)).parameters)
        # The first two are self and the repository, which are given by position.
        assert set(fake[2:]) - {"name"} <= real
    assert callable(HfApi.repo_exists)
    assert callable(HfApi.list_repo_files)
