"""The model card says only what is known, each figure with its attack, n and interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_hub import use_fake_hub
from huggingface_hub import ModelCard
from records import make_record, sha
from saved_victims import save_as_schema_1, victim

from robench.cli import main
from robench.models.victim import Victim
from robench.models.victim_folder import check_files, read_card
from robench.records.record_files import write_record
from robench.sharing.model_card import (
    model_card,
    read_records_for,
    records_beside,
    write_model_card,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "card"
CARD: dict[str, Any] = {
    "name": "rift",
    "task": "toy",
    "labels": ["negative", "positive"],
    "attackable": "text",
    "fields": ["text"],
    "max_tokens": 64,
    "protocol": "rift2021",
    "encoder": "tiny",
    "seed": 0,
    "ingredients": {"options": {"epochs": 3, "weight": 0.1}, "train_pool": "train"},
    "train_examples": 2400,
    "dev_examples": 400,
    "selected_epoch": 2,
    "selection": {
        "rule": "robust",
        "margin": 0.0271,
        "kept": 2,
        "epochs": [
            {"clean": 0.86, "attacked": 0.7},
            {"clean": 0.9175, "attacked": 0.5625},
            {"clean": 0.9075, "attacked": 0.55},
        ],
    },
    "dev_accuracy": 0.9175,
    "versions": {"robench": "0.1.0"},
    "schema": 2,
    "sha256": sha("weights"),
    "files": {},
}
RECORDS = [
    make_record("H" * 54 + "F" * 36 + "W" * 10, victim={"sha256": sha("weights")}),
    make_record(
        "H" * 5 + "F" * 4 + "W",
        attack="pwws",
        attack_label="pwws(budget=9)",
        limit=10,
        examples=100,
        victim={"sha256": sha("weights")},
        search={"budget": 9},
    ),
    make_record("HE", attack="leap", victim={"sha256": sha("weights")}),
]


def compare(name: str, text: str) -> None:
    """Compare with the stored card; to renew it, delete the file and run the test again."""
    path = GOLDEN / name
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path} was missing and is written now; look at it, and run again")
    assert text == path.read_text(encoding="utf-8")


def test_the_card_of_an_attacked_victim() -> None:
    compare("attacked.md", model_card(CARD, RECORDS, "me/rift-toy"))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("clean", "the highest clean dev accuracy"),
        ("last", "the last one"),
        ("paper", "the highest dev accuracy under the convex-hull attack"),
    ],
)
def test_the_card_says_which_rule_chose_the_epoch(rule: str, why: str) -> None:
    selection = {
        "rule": rule,
        "margin": None,
        "kept": 1,
        "epochs": [CARD["selection"]["epochs"][0]],
    }
    text = model_card({**CARD, "selection": selection}, [])
    attacked = "under the convex-hull attack 70.0 %"
    assert f"| epoch | 1 of 1 (dev 86.0 %, {attacked}): {why} (select={rule}) |" in text


def test_the_card_of_a_victim_of_an_older_robench_has_its_epoch_alone() -> None:
    old = {name: value for name, value in CARD.items() if name != "selection"}
    assert "| epoch | 2 |" in model_card(old, [])
    del old["selected_epoch"]
    assert "| epoch |" not in model_card(old, [])


def test_the_card_of_a_randomised_victim_says_how_it_answers() -> None:
    smoothing = {"kind": "masking", "draws": 16, "answer": "mean", "seed": 0, "rate": 0.7}
    text = model_card({**CARD, "smoothing": smoothing}, [])
    answers = "the mean probability of 16 random variants of each text (masking)"
    assert f"| answers | {answers} |" in text
    assert "transformers gives the classifier's answer" in text
    assert "Both give the same probabilities" not in text
    votes = model_card({**CARD, "smoothing": {**smoothing, "answer": "votes"}}, [])
    assert "the votes of 16 random variants" in votes


def test_the_card_of_a_pair_task_that_nobody_attacked() -> None:
    card = {**CARD, "task": "snli", "fields": ["premise", "text"], "protocol": "subword"}
    del card["dev_accuracy"], card["train_examples"], card["ingredients"]
    compare("pair.md", model_card(card, []))


def test_the_front_matter_is_what_the_hub_reads() -> None:
    for card, datasets in (({**CARD, "task": "imdb"}, ["imdb"]), (CARD, None)):
        data = vars(ModelCard(model_card(card, [])).data)
        assert data["license"] == "unknown"
        assert data["pipeline_tag"] == "text-classification"
        assert data.get("datasets") == datasets
    # The name of a file is no data set of the hub.
    assert "datasets" not in model_card({**CARD, "task": "reviews.csv"}, [])


def test_no_figure_stands_without_its_n_and_interval() -> None:
    text = model_card(CARD, RECORDS)
    rows = [line for line in text.splitlines() if line.startswith("| toy |")]
    assert len(rows) == 3
    assert "| 100 | 90.0 [82.6, 94.5] | 54.0 [44.3, 63.4] | rift2021 |" in rows[0]
    assert "genetic (language model)" in rows[0]
    assert "none: 1 examples ended in an error" in rows[1]
    assert "pwws(budget=9) (9 queries) | 10 of 100 (limited run)" in rows[2]
    assert "synthetic" in text
    assert "A limited run" in text
    assert "No attack has been measured" in model_card(CARD, [])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run with one victim, its record, and one of another victim."""
    folder = tmp_path / "runs" / "victims" / "standard"
    made = victim()
    made.save(folder)
    records = tmp_path / "runs" / "records"
    for index, weights in enumerate((made.sha256, sha("another"))):
        record = make_record("HHFW", seed=index, victim={"sha256": weights})
        write_record(records / record.file_name, record)
    return tmp_path / "runs"


def test_the_command_writes_the_card_and_no_hashed_file(run: Path) -> None:
    folder = run / "victims" / "standard"
    before = read_card(folder)
    result = CliRunner().invoke(main, ["card", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"wrote {folder / 'README.md'} (records of this victim: 1" in result.stdout
    first = (folder / "README.md").read_text()
    assert first.count("| toy |") == 1
    check_files(folder, before)
    assert Victim.load(folder).sha256 == before["sha256"]
    # With more records the card is made anew.
    record = make_record("HFFW", attack="pwws", victim={"sha256": before["sha256"]})
    write_record(run / "records" / record.file_name, record)
    CliRunner().invoke(main, ["card", str(folder)])
    assert (folder / "README.md").read_text().count("| toy |") == 2


def test_a_text_of_the_user_is_never_replaced(run: Path) -> None:
    path = run / "victims" / "standard" / "README.md"
    path.write_text("my own words")
    result = CliRunner().invoke(main, ["card", str(path.parent)])
    assert result.exit_code == 2
    assert "was not made by robench, so it is not replaced" in result.stderr
    assert path.read_text() == "my own words"


def test_a_card_that_stays_the_same_is_not_written(run: Path) -> None:
    folder = run / "victims" / "standard"
    path = write_model_card(folder, read_card(folder), [])
    stamp = path.stat().st_mtime_ns
    write_model_card(folder, read_card(folder), [])
    assert path.stat().st_mtime_ns == stamp


def test_records_are_found_beside_the_victims_or_where_they_are_named(
    run: Path, tmp_path: Path
) -> None:
    folder = run / "victims" / "standard"
    assert records_beside(folder) == (run / "records").resolve()
    assert records_beside(tmp_path) is None
    moved = folder.rename(tmp_path / "moved")
    assert records_beside(moved) is None
    card = read_card(moved)
    assert len(read_records_for(card, None).records) == 0
    assert len(read_records_for(card, run / "records").records) == 1
    arguments = ["card", str(moved), "--print", "--records", str(run / "records")]
    result = CliRunner().invoke(main, arguments)
    assert result.stdout.count("| toy |") == 1
    assert not (moved / "README.md").exists()


def test_a_damaged_record_is_named_and_the_others_are_used(run: Path) -> None:
    (run / "records" / "bad.json").write_text("{")
    result = CliRunner().invoke(main, ["card", str(run / "victims" / "standard")])
    assert result.exit_code == 0
    assert "Warning: Cannot read the record" in result.stderr
    assert "records of this victim: 1" in result.stdout


def test_a_victim_of_an_older_robench_has_a_card_without_transformers(tmp_path: Path) -> None:
    save_as_schema_1(victim(), tmp_path / "old")
    text = model_card(read_card(tmp_path / "old"), [])
    assert "transformers cannot load this folder" in text
    assert "trust_remote_code" not in text


@pytest.mark.parametrize("command", [["card"], ["push", "me/x"]])
def test_a_folder_without_a_victim_is_refused(command: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [command[0], str(tmp_path), *command[1:]])
    assert result.exit_code == 2
    assert "holds no victim" in result.stderr
    assert result.stderr.count("Error:") == 1


def test_push_lists_sends_and_refuses(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = use_fake_hub(monkeypatch, tmp_path / "hub")
    folder = str(run / "victims" / "standard")
    dry = CliRunner().invoke(main, ["push", folder, "me/x", "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert dry.stdout.splitlines()[0] == "Would send to me/x (private, if it is new):"
    assert {line.split()[-1] for line in dry.stdout.splitlines()[1:-1]} == {
        "README.md", "victim.json", *read_card(Path(folder))["files"],
    }  # fmt: skip
    assert "Records in the model card: 1. Nothing was sent." in dry.stdout
    assert not hub.repo_exists("me/x")
    sent = CliRunner().invoke(main, ["push", folder, "me/x", "--public"])
    assert sent.stdout == f"sent {len(hub.list_repo_files('me/x'))} files to {hub.endpoint}/me/x\n"
    assert hub.private == {"me/x": False}
    assert "license: unknown" in (hub.folder("me/x") / "README.md").read_text()
    CliRunner().invoke(main, ["push", folder, "me/x", "--license", "mit"])
    assert "license: mit" in (hub.folder("me/x") / "README.md").read_text()
    bad = CliRunner().invoke(main, ["push", folder, "x"])
    assert bad.exit_code == 2
    assert "'x' is no repository" in bad.stderr
