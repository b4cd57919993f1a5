"""Which errors are attacked again, and what a repeated search says of them."""

from __future__ import annotations

import pytest

from robench.search.attack import Trial, Verdict
from robench.search.example_watch import too_long
from robench.verification.error_trials import (
    MOST_ERRORS,
    choose_errors,
    error_differences,
    unended,
)


def error(number: int = 0, problem: str = "the attack failed") -> Trial:
    """Return a trial that ended in an error."""
    return Trial(
        id=f"toy/{number:04}", verdict=Verdict.ERROR, label=1, prediction=1, problem=problem
    )


def now(verdict: Verdict = Verdict.FOOLED, problem: str | None = None) -> Trial:
    """Return the trial of the repeated search of the first example."""
    return Trial(id="toy/0000", verdict=verdict, label=1, prediction=1, problem=problem)


def test_few_errors_are_all_attacked_again_whatever_the_sample() -> None:
    trials = [error(number) for number in range(MOST_ERRORS)]
    assert choose_errors(trials, 0.01, 0, "cell") == [each.id for each in trials]
    assert choose_errors([now()], 1.0, 0, "cell") == []


def test_of_many_errors_a_part_is_attacked_again() -> None:
    trials = [error(number) for number in range(5 * MOST_ERRORS)]
    chosen = choose_errors(trials, 0.01, 0, "cell")
    assert len(chosen) == len(set(chosen)) == MOST_ERRORS
    assert chosen != choose_errors(trials, 0.01, 1, "cell")
    assert len(choose_errors(trials, 0.5, 0, "cell")) == 250
    assert len(choose_errors(trials, 1.0, 0, "cell")) == 500


def differences(was: Trial, again: Trial, *, exact: bool = True) -> tuple[list[str], list[str]]:
    """Compare one trial with its repetition."""
    return error_differences({was.id: was}, [again], exact=exact)


def test_an_error_that_occurs_again_is_no_difference() -> None:
    assert differences(error(), now(Verdict.ERROR, "the attack failed")) == ([], [])


@pytest.mark.parametrize("verdict", [Verdict.FOOLED, Verdict.HELD, Verdict.WRONG])
def test_an_error_that_does_not_occur_again(verdict: Verdict) -> None:
    (said,), undecided = differences(error(), now(verdict))
    assert said.startswith("1 example ended in an error that does not occur here.")
    assert f"toy/0000 (the attack failed), and the same attack gives '{verdict}'" in said
    assert undecided == []


@pytest.mark.parametrize(
    "problem",
    [
        too_long(5.0),
        "the worker process died on it (signal 9)",
        "CUDA out of memory",
        "MemoryError",
    ],
)
def test_time_and_memory_are_those_of_another_machine(problem: str) -> None:
    wrong, (said,) = differences(error(0, problem), now())
    assert wrong == []
    assert said.endswith(
        "It may come from other software, a time limit or the memory of its machine."
    )


def test_other_software_may_explain_every_error() -> None:
    wrong, undecided = differences(error(), now(), exact=False)
    assert wrong == []
    assert len(undecided) == 1


def test_control_characters_of_a_problem_are_escaped() -> None:
    (said,), _ = differences(error(0, "\x1b[31m\u202e" + "long " * 100), now())
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert len(said) < 400


def test_searches_that_did_not_end_say_nothing() -> None:
    held = now(Verdict.HELD)
    late, later = too_long(5.0), too_long(9.0)
    failed = now(Verdict.ERROR, late)
    assert unended({held.id: held}, [failed], 5.0) == [failed]
    assert unended({held.id: error(0, "the attack failed")}, [failed], 5.0) == [failed]
    assert unended({held.id: error(0, late)}, [failed], 5.0) == []
    # Another limit than that of the record says nothing.
    assert unended({held.id: error(0, later)}, [failed], 5.0) == [failed]
    assert unended({held.id: held}, [held], None) == []
