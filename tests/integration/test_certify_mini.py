"""``robench certify`` from the command line, on a short run of the embedded task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from robench.certification.results import ExampleResult, ResultFile
from robench.cli import main
from robench.records.certificate_files import read_certificate
from robench.records.record_files import read_record
from robench.search.attack import Verdict
from robench.search.trials import TrialFile

SHORT = [
    "--defense=standard",
    "--limit=6",
    "--device=cpu",
    "--option=defense.train_examples=320",
    "--option=defense.dev_examples=40",
    "--option=defense.epochs=1",
]
LITTLE = ["--texts=500", "--parts=2", "--draws=40", "--guess=10"]

pytestmark = pytest.mark.slow


def invoke(out: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, [command, *SHORT, f"--out={out}", *arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a victim, two attacks and three certificates."""
    out = tmp_path_factory.mktemp("certified")
    attacks = ["--attack=exhaustive", "--attack=pwws", "--option=exhaustive.max_size=500"]
    attacked = invoke(out, "evaluate", *attacks, "--workers=1")
    assert attacked.exit_code == 0, attacked.output
    done = invoke(out, "certify", *LITTLE, "--space=constrained", "--space=all", "--quiet")
    assert done.exit_code == 0, done.output
    assert "checked against exhaustive(max_size=500); no contradiction" in done.stdout
    assert "checked against exhaustive(max_size=500), pwws; no contradiction" in done.stdout
    return out


def test_enumeration_and_the_exhaustive_attack_agree(run: Path) -> None:
    (path,) = (run / "records").glob("*exhaustive*")
    record = read_record(path)
    certificates = [read_certificate(path) for path in (run / "certificates").glob("*.json")]
    (certificate,) = (each for each in certificates if each.space.constrained)
    pairs = list(zip(certificate.letters, record.outcomes, strict=True))
    # What the attack proved is certified, and what fooled it is not.
    assert {letter for letter, outcome in pairs if outcome == "P"} <= {"C"}
    assert {letter for letter, outcome in pairs if outcome == "F"} <= {"F", "U"}
    assert {letter for letter, outcome in pairs if outcome == "W"} <= {"W"}
    assert any(outcome in "PF" for _, outcome in pairs)


def test_the_table_of_the_run_has_the_certificates(run: Path) -> None:
    text = (run / "leaderboard.md").read_text(encoding="utf-8")
    assert "## Certified beside attacked" in text
    assert "all substitutes" in text


def test_a_second_call_asks_nothing(run: Path) -> None:
    before = {path: path.read_bytes() for path in (run / "certificates").glob("*.jsonl")}
    again = invoke(run, "certify", *LITTLE, "--json", "--quiet")
    assert again.exit_code == 0, again.output
    data = json.loads(again.stdout)
    (first,) = data["certificates"]
    assert first["space"] == "constrained"
    assert 0 <= first["certified_accuracy"] <= first["exact_robustness"][1]
    assert first["exact_robustness"][1] <= first["accuracy_under_attack"] <= first["clean_accuracy"]
    assert {path: path.read_bytes() for path in before} == before


def test_smoothing_certifies_another_classifier(run: Path) -> None:
    done = invoke(run, "certify", *LITTLE, "--method=smoothing", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    (first,) = json.loads(done.stdout)["certificates"]
    assert first["smoothed"] is True
    assert first["attacks"] == []
    assert first["accuracy_under_attack"] is None
    assert first["error"] == 0.01


def test_certified_but_fooled_fails_and_names_the_example(run: Path) -> None:
    (trials,) = (run / "trials").glob("*exhaustive*")
    fooled = next(each for each in TrialFile(trials).read() if each.verdict == Verdict.FOOLED)
    (verdicts,) = (
        path
        for path in (run / "certificates").glob("*-bounds-*.jsonl")
        if read_certificate(path.with_name(f"{path.stem}-limit-6.json")).space.constrained
    )
    key = read_certificate(verdicts.with_name(f"{verdicts.stem}-limit-6.json")).key
    good = verdicts.read_bytes()
    false = ExampleResult(id=fooled.id, letter="C", reason="a mistake", positions=1)
    with ResultFile(verdicts, key) as file:
        file.append(false)
    try:
        done = invoke(run, "certify", *LITTLE, "--quiet")
    finally:
        verdicts.write_bytes(good)
    assert done.exit_code == 1
    assert "certified but fooled. One of the two is wrong." in done.stderr
    assert "Contradictions between certificates and attacks: 1." in done.stderr
    assert "contradictions: 1" in done.stdout
    assert "certified but fooled" in (run / "leaderboard.md").read_text(encoding="utf-8")
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method=luck"], "is not one of 'bounds', 'smoothing'"),
        (["--alpha=0"], "0"),
        (["--space=everything"], "is not one of 'constrained', 'all'"),
        (["--texts=0"], "--texts"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = invoke(tmp_path, "certify", *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.output
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_victim_is_one_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["certify", f"--out={tmp_path}"])
    assert done.exit_code == 2
    assert "There is no victim" in done.stderr
