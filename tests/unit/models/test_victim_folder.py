"""The folder of a saved victim: old and new layouts, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from saved_victims import change_card, save_as_schema_1, trust_weights, victim
from victim_cases import FAMILIES

from robench._base.errors import RobenchError
from robench._base.seals import file_sha256, with_seal
from robench.models.victim import Victim
from robench.models.victim_folder import (
    CODE_FILE,
    checked_card,
    identity,
    read_card,
    weights_hash,
)

TEXTS = [{"text": "film good noun1"}, {"text": "a bad noun2"}, {"text": ""}]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    victim().save(tmp_path / "v")
    return tmp_path / "v"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_saved_and_loaded_exactly(family: str, tmp_path: Path) -> None:
    made = victim(family)
    made.save(tmp_path)
    before = torch.get_rng_state()
    loaded = Victim.load(tmp_path)
    np.testing.assert_array_equal(made.probs_of_texts(TEXTS), loaded.probs_of_texts(TEXTS))
    assert torch.equal(before, torch.get_rng_state())
    assert not loaded.model.training
    assert {each.dtype for each in loaded.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_victim_of_an_older_robench_is_loaded_exactly(family: str, tmp_path: Path) -> None:
    made = victim(family)
    save_as_schema_1(made, tmp_path / "old")
    old = Victim.load(tmp_path / "old")
    np.testing.assert_array_equal(made.probs_of_texts(TEXTS), old.probs_of_texts(TEXTS))
    # Its hash is the one that records of older runs hold.
    lines = "".join(
        f"{name} {hashlib.sha256((tmp_path / 'old' / name).read_bytes()).hexdigest()}\n"
        for name in ("head.safetensors", "model.safetensors")
    )
    assert old.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    # Saved again, it has the new layout.
    old.save(tmp_path / "new")
    new = Victim.load(tmp_path / "new")
    np.testing.assert_array_equal(made.probs_of_texts(TEXTS), new.probs_of_texts(TEXTS))
    assert read_card(tmp_path / "new")["schema"] == 2


def test_a_damaged_victim_of_an_older_robench_is_refused(tmp_path: Path) -> None:
    save_as_schema_1(victim(), tmp_path / "old")
    (tmp_path / "old" / "head.safetensors").unlink()
    with pytest.raises(RobenchError, match=r"lost its file 'head\.safetensors'"):
        Victim.load(tmp_path / "old")


def test_the_card_holds_the_hash_of_every_file_that_decides_answers(saved: Path) -> None:
    (saved / "README.md").write_text("for people")
    (saved / "training.json").write_text("{}")
    card = read_card(saved)
    inside = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert set(card["files"]) == inside - {"victim.json", "README.md", "training.json"}
    assert {"tokenizer/tokenizer.json", CODE_FILE, "tokenizer_config.json"} <= set(card["files"])
    assert all(file_sha256(saved / name) == digest for name, digest in card["files"].items())
    assert card["sha256"] == weights_hash(card["files"])
    Victim.load(saved)


def test_the_folder_holds_no_code_but_the_file_that_imports_robench(saved: Path) -> None:
    assert [path.name for path in saved.rglob("*.py")] == [CODE_FILE]
    code = (saved / CODE_FILE).read_text()
    names: dict[str, Any] = {}
    exec(code, names)
    assert set(names["__all__"]) <= names.keys()


def test_loading_never_runs_code_of_the_folder(saved: Path) -> None:
    (saved / CODE_FILE).write_text("raise SystemExit('this ran')")
    new = {CODE_FILE: file_sha256(saved / CODE_FILE)}
    change_card(saved, lambda card: card["files"].update(new))
    assert Victim.load(saved).sha256


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", CODE_FILE, "tokenizer/tokenizer.json"]
)
def test_a_changed_file_is_refused(saved: Path, name: str) -> None:
    with (saved / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(RobenchError, match=r"is damaged: its SHA-256 is not the one") as caught:
        Victim.load(saved, remedy="Do this.")
    assert str(saved / name) in str(caught.value)
    assert str(caught.value).endswith(" Do this.")


def test_a_file_that_the_tokenizer_would_read_as_well_is_refused(saved: Path) -> None:
    (saved / "tokenizer" / "added_tokens.json").write_text('{"good": 3}')
    with pytest.raises(RobenchError, match=r"added_tokens\.json' does not belong to the victim"):
        Victim.load(saved)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda card: card["files"].pop("model.safetensors"), "has no hash of 'model.safetensors'"),
        (lambda card: card["files"].pop("config.json"), "has no hash of 'config.json'"),
        (lambda card: card.update(sha256="0" * 64), "'sha256' does not follow from 'files'"),
        (lambda card: card.update(labels=["negative", "odd", "positive"]), "has the labels"),
        (lambda card: card["files"].update({"../x": "0"}), "lists '../x'"),
        (lambda card: card["files"].update({"/etc/passwd": "0"}), "lists '/etc/passwd'"),
        (lambda card: card["files"].update({"tokenizer/..": "0"}), "lists 'tokenizer/..'"),
        (lambda card: card["files"].update({"c:x": "0"}), "lists 'c:x'"),
        (lambda card: card["files"].update({"a\\b": "0"}), "lists 'a\\b'"),
        (lambda card: card["files"].update({"curves/x/y": "0"}), "lists 'curves/x/y'"),
    ],
)
def test_a_card_that_cannot_be_true_is_refused(
    saved: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    change_card(saved, change)
    with pytest.raises(RobenchError) as caught:
        Victim.load(saved)
    assert sentence in str(caught.value)


def test_weights_without_their_head_are_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    tensors = {name: each for name, each in load_file(path).items() if ".head." not in name}
    save_file(tensors, path)

    trust_weights(saved)
    with pytest.raises(RobenchError, match=r"4 missing keys, such as classifier\.head\.0\.bias"):
        Victim.load(saved)


# -- a victim that is not the one that was saved ---------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(max_tokens=11),
        lambda card: card.update(attackable="other"),
        lambda card: card.update(name="another"),
        lambda card: card["files"].pop(CODE_FILE),
    ],
)
def test_a_card_that_was_edited_is_refused(
    saved: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    card = json.loads((saved / "victim.json").read_text())
    change(card)
    (saved / "victim.json").write_text(json.dumps(card))
    with pytest.raises(RobenchError, match=r"victim\.json' is damaged or was changed") as caught:
        Victim.load(saved, remedy="Do this.")
    assert str(caught.value).endswith(" Do this.")


def test_another_layout_of_the_same_card_is_no_damage(saved: Path) -> None:
    card = json.loads((saved / "victim.json").read_text())
    (saved / "victim.json").write_text(json.dumps(dict(reversed(card.items())), indent=7))
    assert Victim.load(saved).sha256 == card["sha256"]


def test_a_card_of_an_earlier_version_has_no_seal(saved: Path) -> None:
    card = json.loads((saved / "victim.json").read_text())
    assert card.pop("seal")
    (saved / "victim.json").write_text(json.dumps(card))
    assert Victim.load(saved).sha256 == card["sha256"]


def swap_weights(saved: Path, other: Path) -> None:
    """Put the weights of another victim in, and correct the card, as a careful edit would."""
    victim(seed=5).save(other)
    shutil.copy(other / "model.safetensors", saved / "model.safetensors")

    trust_weights(saved)


def write_log(folder: Path, **values: Any) -> None:
    card = read_card(folder)
    log: dict[str, Any] = {
        "key": card.get("key"),
        "victim": identity(card),
        "epochs": [],
        "curves": {},
    }
    (folder / "training.json").write_text(json.dumps(with_seal({**log, **values})))


def test_swapped_weights_with_a_corrected_card_are_another_victim(
    saved: Path, tmp_path: Path
) -> None:
    before = checked_card(saved)
    swap_weights(saved, tmp_path / "other")
    after = checked_card(saved)
    assert after["sha256"] == checked_card(tmp_path / "other")["sha256"] != before["sha256"]
    assert identity(after) == identity(checked_card(tmp_path / "other")) != identity(before)


def test_swapped_weights_are_not_what_the_training_made(saved: Path, tmp_path: Path) -> None:
    write_log(saved)
    Victim.load(saved)
    swap_weights(saved, tmp_path / "other")
    with pytest.raises(RobenchError, match="is not the one that its training made"):
        Victim.load(saved)


def test_the_log_of_another_training_is_refused(saved: Path) -> None:
    write_log(saved, key="another")
    with pytest.raises(RobenchError, match="is not the one that its training made"):
        Victim.load(saved)


@pytest.mark.parametrize("content", ["{", "[]", '{"epochs": [], "seal": "0"}', "\0" * 40])
def test_a_damaged_log_is_refused_and_may_be_deleted(saved: Path, content: str) -> None:
    (saved / "training.json").write_text(content)
    with pytest.raises(RobenchError, match=r"training\.json' is damaged .* or delete it"):
        Victim.load(saved)
    (saved / "training.json").unlink()
    Victim.load(saved)


def test_a_log_that_names_its_victim_needs_its_seal(saved: Path) -> None:
    """Logs of earlier versions have neither."""
    write_log(saved)
    log = json.loads((saved / "training.json").read_text())
    assert log.pop("seal")
    (saved / "training.json").write_text(json.dumps(log))
    with pytest.raises(RobenchError, match=r"training\.json' is damaged .*it has no seal"):
        Victim.load(saved)
    del log["victim"]
    (saved / "training.json").write_text(json.dumps(log))
    Victim.load(saved)


def test_a_damaged_curve_is_refused_and_may_be_deleted(saved: Path) -> None:
    curve = saved / "curves" / "tensorboard" / "events"
    curve.parent.mkdir(parents=True)
    curve.write_bytes(b"figures")
    write_log(saved, curves={"curves/tensorboard/events": file_sha256(curve)})
    Victim.load(saved)
    curve.write_bytes(b"figurez")
    with pytest.raises(RobenchError, match="Delete that file: the victim works without"):
        Victim.load(saved)
    curve.unlink()
    Victim.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(max_tokens=11),
        lambda card: card.update(protocol="subword"),
        lambda card: card["files"].update({"tokenizer/tokenizer.json": "0" * 64}),
        lambda card: card["files"].update({"config.json": "0" * 64}),
        lambda card: card.update(ingredients={"splitter": "another"}),
    ],
)
def test_everything_that_decides_answers_decides_the_identity(
    saved: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    before, card = identity(read_card(saved)), read_card(saved)
    change(card)
    assert identity(card) != before


def test_a_name_decides_no_identity(saved: Path) -> None:
    card = read_card(saved)
    assert identity(card) == identity({**card, "name": "another", "seed": 9})


def test_a_victim_of_schema_1_whose_hash_is_not_that_of_its_files_is_refused(
    tmp_path: Path,
) -> None:
    save_as_schema_1(victim(), tmp_path / "old")
    change_card(tmp_path / "old", lambda card: card.update(sha256="0" * 64))
    with pytest.raises(RobenchError, match="'sha256' does not follow from 'files'"):
        Victim.load(tmp_path / "old")
