"""Defenses that break their promises cost their own row at most, and say why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import Listening, trials_of, without_measurements
from lying_defenses import LIES
from toy import make_toy_encoder, toy_task

from robench import DEFENSES
from robench._base.errors import RobenchError
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.run import build_request, evaluate

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lying-defenses")]

OPTIONS = {
    "defense.epochs": "1",
    "defense.batch_size": "8",
    "defense.learning_rate": "0.01",
    "defense.train_examples": "128",
    "defense.dev_examples": "20",
}


@dataclass(frozen=True)
class Place:
    """Where the runs take place."""

    task: str
    encoder: str

    def request(self, out: Path, *defenses: str) -> EvaluationRequest:
        return build_request(
            tasks=(self.task,),
            defenses=defenses,
            attacks=("pwws",),
            encoder=self.encoder,
            options=OPTIONS,
            lm="none",
            limit=6,
            workers=1,
            out=out,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("toy")
    with toy_task(folder) as task:
        yield Place(task, make_toy_encoder(folder / "encoder"))


Row = tuple[dict[str, Any], Mapping[str, Any]]


@pytest.fixture(scope="module")
def undisturbed(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Row:
    """The record and the trials of plain fine-tuning, in a run of its own."""
    out = tmp_path_factory.mktemp("undisturbed")
    (record,) = evaluate(place.request(out, "standard"), Listening())
    trials = trials_of(out)
    assert len(trials) == 6
    # The hash is that of its weights, so a training that differs in one bit is another row.
    assert len(record.victim.sha256) == 64
    return without_measurements(record), trials


@pytest.mark.parametrize("name", LIES)
def test_a_lying_defense_costs_its_own_row_at_most(
    name: str,
    place: Place,
    undisturbed: Row,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tried: Callable[..., None],
) -> None:
    monkeypatch.chdir(tmp_path)
    lie, report, sentence, crashed = LIES[name], Listening(), "", 0
    records: Any = []
    with DEFENSES.temporarily("a-liar", lie.made):
        try:
            records = evaluate(place.request(tmp_path / "out", "a-liar", "standard"), report)
        except RobenchError as error:
            sentence, records = str(error), getattr(error, "done", [])
        except BaseException as error:
            crashed, sentence = 1, repr(error)[:200]
    rows = {record.defense.name: record for record in records}
    trials = {key: each for key, each in trials_of(tmp_path / "out").items() if "a-liar" not in key}
    other = "standard" in rows and (without_measurements(rows["standard"]), trials)
    wrong = int(other != undisturbed and other is not False)
    lost = int(other is False and not lie.early)
    tried("lying defense", lost=lost, wrong=wrong, crashed=crashed)
    assert (lost, wrong, crashed) == (0, 0, 0), sentence
    assert ("a-liar" in rows) == lie.record, sentence
    assert not (lie.early and list(tmp_path.glob("out/victims/*")))
    findings = rows["a-liar"].victim.findings if lie.record else ()
    said = [sentence, *report.messages, *findings]
    assert any(re.search(lie.said, each) for each in said), said
    assert all(len(each) < 1500 and "Traceback" not in each for each in said)
    assert "\n" not in sentence
