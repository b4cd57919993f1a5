"""Estimates of a run of the toy task: before anything was run, after it, and on other devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import FinishedRun, Listening

from robench._base.errors import UsageError
from robench.evaluation.cost_log import Done, cost_log
from robench.evaluation.cost_parts import TextSize, published_counts
from robench.evaluation.cost_plan import Plan
from robench.evaluation.run import Silent, build_request, evaluate, plan, plan_with_costs


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep a log of times in a folder of the test."""
    monkeypatch.setenv("ROBENCH_RATES", str(tmp_path / "rates"))
    return tmp_path / "rates"


@pytest.fixture
def plain(toy: dict[str, Any]) -> dict[str, Any]:
    """The toy task with the default options of the attacks."""
    options = {name: value for name, value in toy["options"].items() if "attack." not in name}
    return {**toy, "options": options}


def kinds(planned: Plan) -> list[str]:
    return [part.kind for part in planned.parts]


def only(entries: list[Done], kind: str) -> Done:
    (entry,) = (each for each in entries if each.work.kind == kind)
    return entry


def test_before_the_first_run_queries_have_bounds_and_times_are_not_known(
    plain: dict[str, Any], tmp_path: Path, log: Path
) -> None:
    request = build_request(defenses=("rift",), attacks=("pwws",), out=tmp_path / "out", **plain)
    planned = plan_with_costs(request)
    assert list(planned.cells) == plan(request)
    assert kinds(planned) == ["training", "surface", "attack"]
    assert [part.seconds for part in planned.parts] == [None, None, None]
    assert planned.parts[2].queries is not None
    assert (planned.total.unknown, planned.total.gpu_hours, planned.past) == (3, None, None)
    assert planned.parts[2].title == "rift(" + planned.parts[2].title.partition("(")[2]
    assert not log.exists()


@pytest.mark.slow
def test_a_run_is_logged_and_the_next_one_is_estimated_from_it(
    plain: dict[str, Any], tmp_path: Path, log: Path
) -> None:
    values = {"defenses": ("rift",), "attacks": ("pwws",), "limit": 10, **plain}
    (record,) = evaluate(build_request(out=tmp_path / "out", **values), Silent())
    entries = cost_log().read()
    assert [entry.work.kind for entry in entries] == ["surface", "training", "attack"]
    attack, training = only(entries, "attack"), only(entries, "training")
    assert (attack.asked, attack.forwarded) == (record.cost.asked, record.cost.forwarded)
    assert attack.work.units == 10
    assert training.seconds == record.cost.training_seconds
    assert [entry.expected for entry in entries] == [None, None, None]

    again = build_request(out=tmp_path / "again", seeds=(1,), **values)
    planned = plan_with_costs(again)
    sources = {part.kind: part.seconds and part.seconds.source for part in planned.parts}
    assert sources == {
        "training": "measured here on 1 training",
        "surface": "measured here on 1 surface",
        "attack": "measured here on 1 cell",
    }
    queries = planned.parts[-1].queries
    assert queries is not None
    assert queries.low < record.cost.asked < queries.high
    assert planned.total.unknown == 0

    evaluate(again, Silent())
    past = plan_with_costs(again).past
    assert past is not None
    assert (past.parts, past.worst_factor >= past.median_factor >= 1.0) == (3, True)
    assert plan_with_costs(again).parts == ()


@pytest.mark.slow
def test_a_continued_cell_counts_only_its_new_examples(
    plain: dict[str, Any], tmp_path: Path, log: Path
) -> None:
    values = {"defenses": ("rift",), "attacks": ("pwws",), "out": tmp_path / "out", **plain}
    evaluate(build_request(limit=10, **values), Silent())
    request = build_request(**values)
    (part,) = (each for each in plan_with_costs(request).parts if each.kind == "attack")
    first = only(cost_log().read(), "attack")
    assert part.seconds is not None
    # 20 of 30 examples are left.
    assert part.seconds.likely == pytest.approx(2 * first.seconds)
    evaluate(request, Silent())
    attacks = [entry for entry in cost_log().read() if entry.work.kind == "attack"]
    assert [entry.work.units for entry in attacks] == [10, 20]


@pytest.mark.slow
def test_measuring_fills_the_gaps_and_says_what_it_measured(
    plain: dict[str, Any], tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.evaluation.cost_measure.SECONDS", 0.05)
    out, listening = tmp_path / "out", Listening()
    request = build_request(defenses=("rift",), attacks=("pwws", "genetic"), out=out, **plain)
    planned = plan_with_costs(request, listening, measure=True)
    assert planned.total.unknown == 0
    assert not out.exists()
    said = [text for text in listening.messages if text.startswith("Measured")]
    assert [text.partition(" of ")[0] for text in said] == [
        "Measured training steps",
        "Measured the surface",
        "Measured forward passes",
    ]
    assert all(text.endswith(" a second.") for text in said)
    # What was measured is kept, so it is not measured twice.
    again = Listening()
    assert plan_with_costs(request, again, measure=True).total == planned.total
    assert not [text for text in again.messages if text.startswith("Measured")]


@pytest.mark.slow
def test_a_finished_run_leaves_nothing_and_its_trials_do_not_depend_on_the_log(
    finished: FinishedRun, log: Path
) -> None:
    request, records = finished
    assert plan_with_costs(request).parts == ()
    assert evaluate(request, Silent()) == records
    # Nothing new was done, so nothing is logged.
    assert not log.exists()


@pytest.mark.slow
def test_a_log_that_cannot_be_kept_does_not_end_a_run(
    plain: dict[str, Any], tmp_path: Path, log: Path
) -> None:
    log.write_text("a file where the folder should be")
    request = build_request(
        defenses=("rift",), attacks=("pwws",), limit=5, out=tmp_path / "out", **plain
    )
    assert len(evaluate(request, Silent())) == 1
    assert plan_with_costs(request).past is None


def test_a_training_alone_is_a_part(plain: dict[str, Any], tmp_path: Path, log: Path) -> None:
    request = build_request(defenses=("standard", "rift"), out=tmp_path / "out", **plain)
    planned = plan_with_costs(request)
    assert kinds(planned) == ["training", "training"]
    assert len(planned.cells) == 2


def test_what_is_refused_without_an_estimate_is_refused_with_one(
    plain: dict[str, Any], tmp_path: Path
) -> None:
    values = {**plain, "device": "cuda:99"}
    request = build_request(defenses=("rift",), attacks=("pwws",), out=tmp_path, **values)
    with pytest.raises(UsageError, match="Device 'cuda:99' is not there"):
        plan_with_costs(request)


def test_the_shipped_counts_are_of_attacks_that_exist() -> None:
    from robench.evaluation.substitution_sources import HELD_OUT
    from robench.plugins.names import split_on
    from robench.search.registry import ATTACKS

    counts = published_counts()
    assert {"pwws", "genetic"} <= set(counts)
    plugins, sets = zip(*(split_on(name) for name in counts), strict=True)
    assert set(plugins) <= set(ATTACKS.names())
    assert set(sets) <= {"", HELD_OUT}
    for records in counts.values():
        for each in records:
            assert len(each.asked) == len(each.forwarded) > 0
            assert each.records > 0
            for asked, rows in zip(each.asked, each.forwarded, strict=True):
                assert asked >= rows >= 0
                assert bool(asked) == bool(rows)
            # A search that asks is estimated for texts of other tasks by their changes.
            assert each.changes > 0 or not any(each.asked)


def test_the_size_of_texts_is_that_of_the_surface(finished: FinishedRun) -> None:
    from robench.evaluation.resolve import resolve_request
    from robench.text.surface_building import build_surface

    request, _ = finished
    resolved = resolve_request(request, Silent())
    (task,) = resolved.tasks
    (test,) = task.tests
    wanted = resolved.surface_request(task, test)
    size = TextSize.of_surface(build_surface(wanted), test.max_words)
    assert TextSize.sampled(test, "", task.task.attackable, resolved.protocol) == size
    assert size.words > size.positions > 0
