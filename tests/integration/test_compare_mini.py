"""Compare the two rows of a real run of the embedded task, as a person does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

import robench
from robench.cli import main
from robench.records.record_files import read_records
from robench.records.statistics import ROBUST, worst_case

pytestmark = pytest.mark.slow

QUICK = ("train_examples=320", "dev_examples=40", "epochs=1")


def call(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two defenses and two attacks on 20 examples, and one more attack on one of them."""
    folder = tmp_path_factory.mktemp("compare") / "runs"

    def evaluate(defenses: Sequence[str], attacks: Sequence[str]) -> None:
        flags = [part for name in defenses for part in ("--defense", name)]
        flags += [part for name in attacks for part in ("--attack", name)]
        flags += [part for option in QUICK for part in ("--option", f"defense.{option}")]
        call("evaluate", *flags, "--limit", "20", "--device", "cpu", "--out", str(folder))

    evaluate(("standard", "rift"), ("pwws", "greedy"))
    evaluate(("standard",), ("random",))
    return folder


def test_the_numbers_are_those_of_the_records(out: Path) -> None:
    data = json.loads(call("compare", "rift", "standard", "--out", str(out), "--json"))
    outcomes: dict[str, list[str]] = {"rift": [], "standard": []}
    for record in read_records(out / "records").values():
        if record.attack.name != "random" and record.defense is not None:
            outcomes[record.defense.name].append(record.outcomes)
    rift, standard = (worst_case(outcomes[name]) for name in ("rift", "standard"))
    seed = data["measures"][-1]["seeds"][0]
    pairs = [(a in ROBUST, b in ROBUST) for a, b in zip(rift, standard, strict=True)]
    assert data["measures"][-1]["attacks"] == ["greedy", "pwws"]
    assert (seed["right_first"], seed["right_second"]) == tuple(map(sum, zip(*pairs, strict=True)))
    assert seed["only_first"] == pairs.count((True, False))
    assert seed["only_second"] == pairs.count((False, True))
    assert len(data["differing"]) == seed["only_first"] + seed["only_second"]
    assert all(each["text"] for each in data["differing"])


def test_the_sentence_is_the_same_everywhere(out: Path) -> None:
    result = robench.compare("rift", "standard", "pwws", out=out)
    shown = call("compare", "rift", "standard", "--attack", "pwws", "--out", str(out))
    assert shown.splitlines()[0] == str(result)
    assert str(result).startswith("Under pwws, rift is right on ")


def test_the_table_of_the_folder_has_a_worst_case_over_the_common_attacks(out: Path) -> None:
    text = (out / "leaderboard.md").read_text(encoding="utf-8")
    assert "worst case (greedy, pwws)" in text
    assert "It leaves out random." in text
