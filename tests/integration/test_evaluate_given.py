"""Models of plain transformers, attacked as they are with the real command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from evaluation_cases import trials_of, without_measurements
from plain_models import fine_tune, plain_predictions, reviews, turned, with_config

from robench.cli import main
from robench.evaluation.run import Silent, build_request, evaluate
from robench.records.leaderboard import check, render_board, write_board
from robench.records.record import Record
from robench.records.record_files import read_records
from robench.tasks.balanced import balanced_prefix

TRAINING = (
    *("--option", "defense.train_examples=160", "--option", "defense.dev_examples=40"),
    *("--option", "defense.epochs=1"),
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def evaluated(out: Path, *arguments: str | Path, limit: int = 40) -> list[Record]:
    """Run ``robench evaluate`` and return the records of its folder."""
    result = run(
        *("evaluate", "--device", "cpu", "--attack", "pwws", "--limit", str(limit)),
        *("--out", out, *arguments),
    )
    assert result.exit_code == 0, result.stderr
    return list(read_records(out / "records").values())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has one."""
    return fine_tune(tmp_path_factory.mktemp("models") / "my-model")


@pytest.fixture(scope="module")
def first(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """The folder of a run with this model, and its record."""
    out = tmp_path_factory.mktemp("first")
    (record,) = evaluated(out, "--victim", model)
    return out, record


def test_the_clean_accuracy_is_that_of_plain_transformers(
    model: Path, first: tuple[Path, Record]
) -> None:
    _, record = first
    examples = balanced_prefix(reviews().test, 40)
    right = [
        guess == each.label
        for guess, each in zip(plain_predictions(model, examples), examples, strict=True)
    ]
    assert [letter != "W" for letter in record.outcomes] == right
    assert sum(right) / 40 > 0.7
    assert record.counts.fooled > 0


def test_the_record_says_that_robench_did_not_train(first: tuple[Path, Record]) -> None:
    out, record = first
    assert (record.defense, record.encoder) == (None, None)
    assert (record.row, record.victim.kind) == ("my-model (given)", "given")
    assert record.protocol.name == "subword"
    given = record.victim.given
    assert given is not None
    assert (given.source, given.architecture, given.label_map) == (
        "my-model",
        "BertForSequenceClassification",
        {},
    )
    assert record.cost.training_seconds is None
    assert "did not train" in record.cost.missing["training_seconds"]
    assert record.file_name.startswith("mini-reviews-my-model-pwws-s0-")
    text = (out / "leaderboard.md").read_text()
    assert "given victims, protocol subword" in text
    assert "Row my-model (given): the model 'my-model', which robench did not train" in text
    assert f"identity `{record.victim.sha256}`" in text
    assert str(out.parent) not in text


def test_labels_are_matched_by_name_and_not_by_position(
    model: Path, first: tuple[Path, Record], tmp_path: Path
) -> None:
    """The same classifier with its logits turned has the same verdicts."""
    other = turned(model, tmp_path / "turned", {0: "POSITIVE", 1: "NEGATIVE"})
    (record,) = evaluated(tmp_path / "out", "--victim", other)
    assert record.outcomes == first[1].outcomes
    assert record.victim.given is not None
    assert record.victim.given.label_map == {"POSITIVE": "positive", "NEGATIVE": "negative"}
    assert record.victim.sha256 != first[1].victim.sha256


def test_labels_without_a_name_are_refused_until_they_are_mapped(
    model: Path, first: tuple[Path, Record], tmp_path: Path
) -> None:
    other = turned(model, tmp_path / "turned", {0: "LABEL_0", 1: "LABEL_1"})
    asked = ("evaluate", "--attack", "pwws", "--victim", other, "--out", tmp_path / "out")
    refused = run(*asked)
    assert refused.exit_code == 2
    for name in ("LABEL_0", "LABEL_1", "negative", "positive", "--label-map"):
        assert name in refused.stderr
    maps = ("--label-map", "LABEL_0=positive", "--label-map", "LABEL_1=negative")
    (record,) = evaluated(tmp_path / "out", "--victim", other, *maps)
    assert record.outcomes == first[1].outcomes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"problem_type": "regression"}, "regression"),
        ({"problem_type": "multi_label_classification"}, "multi-label"),
        ({"architectures": ["BertModel"]}, "BertModel"),
        (
            {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}},
            "'a', 'b', 'c'",
        ),
    ],
)
def test_a_model_that_cannot_be_judged_is_refused_in_one_sentence(
    model: Path, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    other = with_config(model, tmp_path / "other", **changes)
    result = run("evaluate", "--attack", "pwws", "--victim", other, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert sentence in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_option_that_does_not_fit_is_refused_or_left_out(model: Path, tmp_path: Path) -> None:
    asked = ("evaluate", "--victim", model, "--out", tmp_path / "out", "--limit", "4")
    refused = run(*asked, "--attack", "pwws", "--protocol", "rift2021")
    assert refused.exit_code == 2
    assert "--protocol rift2021 reads exactly one token for each word" in refused.stderr
    refused = run(*asked, "--attack", "pwws", "--attack", "convex-hull")
    assert refused.exit_code == 2
    assert "Attack 'convex-hull' needs gradients" in refused.stderr
    beside = ("--defense", "standard", *TRAINING, "--dry-run")
    planned = run(*asked, *beside, "--attack", "pwws", "--attack", "convex-hull")
    assert planned.exit_code == 0, planned.stderr
    assert "It is left out for my-model (given)." in planned.stderr
    cells, _, _ = planned.stdout.partition("\n\n")
    rows = [line.split() for line in cells.splitlines()]
    attacks = [(row[1], row[-5]) for row in rows[1:]]
    assert ("my-model", "convex-hull") not in attacks
    assert len(attacks) == 3


def test_options_of_training_are_said_to_have_no_effect(model: Path, tmp_path: Path) -> None:
    asked = ("evaluate", "--victim", model, "--attack", "pwws", "--dry-run", "--limit", "4")
    result = run(*asked, "--out", tmp_path, "--encoder", "bert-base-uncased", "--retrain")
    assert result.exit_code == 0, result.stderr
    assert "these options have no effect: --encoder, --retrain." in result.stderr
    assert "no effect" not in run(*asked, "--out", tmp_path).stderr


def test_examples_that_no_attack_can_change_are_told(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("text,label\nzzz qqq,positive\na good film,positive\nxyz,negative\n")
    out = tmp_path / "out"
    result = run(
        *("evaluate", "--victim", model, "--test", path, "--attack", "pwws", "--out", out),
        *("--device", "cpu"),
    )
    assert result.exit_code == 0, result.stderr
    assert "2 of 3 examples have no word that can be replaced: an attack leaves" in result.stderr
    (record,) = read_records(out / "records").values()
    assert record.surface.unattackable == 2
    assert (
        "Examples without a word that may be replaced: pwws 2 of 3."
        in (out / "leaderboard.md").read_text()
    )


def test_an_encoder_that_is_a_classifier_is_warned_of(model: Path, tmp_path: Path) -> None:
    result = run(
        *("evaluate", "--defense", "standard", "--encoder", model, "--attack", "pwws"),
        *("--out", tmp_path / "out", "--dry-run"),
    )
    assert result.exit_code == 0, result.stderr
    assert f"--victim {model}" in result.stderr
    assert "loses its classification head and is trained anew" in result.stderr


def test_two_workers_give_the_trials_of_one(
    model: Path, first: tuple[Path, Record], tmp_path: Path
) -> None:
    (record,) = evaluated(tmp_path, "--victim", model, "--workers", "2")
    assert trials_of(tmp_path) == trials_of(first[0])
    assert without_measurements(record) == without_measurements(first[1])


KILLED = """
import os, signal, sys
from robench.evaluation.run import Silent, build_request, evaluate

class Deadly(Silent):
    phase = ""
    def started(self, phase, what, total):
        self.phase = phase
    def advanced(self, done, total, note):
        if self.phase == "attack" and done >= 15:
            os.kill(os.getpid(), signal.SIGKILL)

evaluate(build_request(victims=(sys.argv[1],), attacks=("pwws",), limit=40, device="cpu",
    out=sys.argv[2], workers=1), Deadly())
"""


def test_a_killed_run_continues_with_the_trials_that_it_has(
    model: Path, first: tuple[Path, Record], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(model), str(tmp_path)], capture_output=True, timeout=240
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert 15 <= len(trials_of(tmp_path)) < 40
    result = run(
        *("evaluate", "--victim", model, "--attack", "pwws", "--limit", "40", "--device", "cpu"),
        *("--out", tmp_path),
    )
    assert result.exit_code == 0, result.stderr
    assert "of 40 trials exist from an earlier run" in result.stderr
    assert trials_of(tmp_path) == trials_of(first[0])


def test_another_file_of_weights_is_another_victim(
    model: Path, first: tuple[Path, Record], tmp_path: Path
) -> None:
    """A folder that changed in place must not answer with the old trials."""
    other = turned(model, tmp_path / "my-model", {0: "positive", 1: "negative"})
    out = tmp_path / "out"
    evaluated(out, "--victim", model, limit=6)
    evaluated(out, "--victim", other, limit=6)
    assert len(list((out / "trials").iterdir())) == 2


@pytest.mark.slow
def test_given_and_trained_victims_share_a_table_and_a_board(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    records = evaluated(
        out,
        *("--victim", model, "--name", "mine", "--defense", "standard", *TRAINING),
        *("--seed", "0", "--seed", "1"),
        limit=8,
    )
    assert len(records) == 4
    assert len({record.surface.key for record in records}) == 1
    mine = [record for record in records if record.victim.kind == "given"]
    assert {record.search.seed for record in mine} == {0, 1}
    assert len({record.victim.sha256 for record in mine}) == 1
    text = (out / "leaderboard.md").read_text()
    assert text.count("\n## mini-reviews, encoder tiny, protocol subword") == 1
    assert "| mine (given)" in text
    toml = tmp_path / "board.toml"
    toml.write_text(
        'title = "T"\ntask = "mini-reviews"\nencoder = "tiny"\nprotocol = "subword"\n'
        f'attacks = ["pwws"]\nrecords = "{out / "records"}"\ndefenses = ["mine (given)"]\n'
    )
    # A limited run is refused, but not because of the victim.
    assert render_board(toml).count("only 8 of 1000 examples were judged (--limit)") == 4
    write_board(toml)
    assert check(toml) == []


def test_a_given_model_is_judged_on_another_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    path.write_text(
        "label,text\npositive,a wonderful film with a great cast\nnegative,a boring dull story\n"
        "positive,one of the best\n"
    )
    out = tmp_path / "out"
    (record,) = evaluated(out, "--victim", model, "--test", path)
    assert (record.task.other_test, record.counts.n, record.limit) == ("more.csv", 3, None)
    assert not record.victim.findings or "test" in record.victim.findings[0]
    assert "mini-reviews judged on more.csv" in (out / "leaderboard.md").read_text()


def test_a_file_is_a_task_of_its_own_without_any_training(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    rows = [(each.fields["text"], each.label) for each in reviews().test[:30]]
    lines = [f'"{text}",{("negative", "positive")[label]}' for text, label in rows]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    (record,) = evaluated(
        tmp_path / "out",
        *("--victim", model, "--task", path, "--substitutions", "mini"),
    )
    assert (record.task.name, record.counts.n) == ("more.csv", 30)
    guesses = plain_predictions(model, reviews().test[:30])
    right = sum(guess == label for guess, (_, label) in zip(guesses, rows, strict=True))
    assert record.counts.n - record.counts.wrong == right


def test_the_table_of_a_folder_survives_a_given_victim(
    model: Path, first: tuple[Path, Record], tmp_path: Path
) -> None:
    """A later run in the same folder reads the record of the given victim again."""
    request = build_request(
        victims=(str(model),), attacks=("greedy",), limit=4, device="cpu", out=tmp_path
    )
    evaluate(request, Silent())
    assert len(evaluated(tmp_path, "--victim", model, limit=4)) == 2
    text = (tmp_path / "leaderboard.md").read_text()
    assert "| my-model (given) |" in text
    assert "greedy" in text
    assert "pwws" in text
