"""A very short evaluation on the publishers' data. It is skipped where the data are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robench.evaluation.run import Silent, build_request, evaluate
from robench.search.trials import TrialFile

DATA = os.environ.get("ROBENCH_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="ROBENCH_DATA names no folder with the publishers' data"
)

SHORT = {
    "defense.train_examples": "48",
    "defense.dev_examples": "12",
    "defense.epochs": "1",
    "defense.batch_size": "12",
}


@pytest.mark.parametrize(("task", "pool"), [("imdb", None), ("snli", "sick")])
def test_an_evaluation_on_real_data(task: str, pool: str | None, tmp_path: Path) -> None:
    assert DATA is not None
    request = build_request(
        defenses=("standard",),
        attacks=("pwws",),
        tasks=(task,),
        train_pool=pool,
        data=Path(DATA),
        limit=6,
        options=SHORT,
        device="cpu",
        out=tmp_path,
    )
    (record,) = evaluate(request, Silent())
    assert record.counts.n == 6
    assert record.counts.error == 0
    assert (record.task.examples, record.task.test_name, record.task.synthetic) == (
        1000,
        "frozen-1000",
        False,
    )
    assert record.task.train_pool == (pool or "train")
    assert not record.surface.constrained  # PWWS under rift2021
    (path,) = (tmp_path / "trials").iterdir()
    found = TrialFile(path).read()
    assert {trial.id.partition("/")[0] for trial in found} == {task}
    attacked = [trial for trial in found if trial.verdict != "wrong"]
    assert all(trial.asked > 0 or trial.verdict == "held-proved" for trial in attacked)
