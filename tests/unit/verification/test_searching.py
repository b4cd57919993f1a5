"""Which searches are repeated, and what their trials say of the record."""

from __future__ import annotations

from math import ceil, comb

import pytest

from robench.search.attack import Trial, Verdict
from robench.verification.searching import choose_sample, fewest_found, search_differences


def trial(number: int, verdict: Verdict = Verdict.HELD, **fields: object) -> Trial:
    """Return a trial of an invented example."""
    values = {"label": 1, "prediction": 1, "seconds": float(number), "asked": 5, **fields}
    return Trial(id=f"toy/{number:03}", verdict=verdict, **values)


MIXED = [
    *(trial(number) for number in range(100)),
    *(trial(number, Verdict.FOOLED) for number in range(100, 120)),
    *(trial(number, Verdict.WRONG) for number in range(120, 140)),
]


def test_the_sample_has_a_share_of_held_and_of_fooled_examples() -> None:
    chosen = choose_sample(MIXED, 0.1, 3, "cell")
    assert len(chosen) == len(set(chosen)) == 12
    assert sum(id_ < "toy/100" for id_ in chosen) == 10
    assert sum("toy/100" <= id_ < "toy/120" for id_ in chosen) == 2
    assert chosen == sorted(chosen)


def test_the_sample_follows_from_the_seed_and_the_cell() -> None:
    assert choose_sample(MIXED, 0.1, 3, "cell") == choose_sample(MIXED[::-1], 0.1, 3, "cell")
    assert choose_sample(MIXED, 0.1, 3, "cell") != choose_sample(MIXED, 0.1, 4, "cell")
    assert choose_sample(MIXED, 0.1, 3, "cell") != choose_sample(MIXED, 0.1, 3, "other")


def test_a_small_share_still_takes_one_of_each() -> None:
    assert len(choose_sample(MIXED, 1e-9, 0, "")) == 2
    assert choose_sample([], 0.5, 0, "") == []


def test_a_share_of_1_takes_all_that_were_attacked() -> None:
    assert len(choose_sample(MIXED, 1, 0, "")) == 120


def known(*trials: Trial) -> dict[str, Trial]:
    """Return trials by id."""
    return {each.id: each for each in trials}


def test_equal_trials_have_no_difference_whatever_they_took() -> None:
    again = [trial(1).model_copy(update={"seconds": 99.0})]
    assert search_differences(known(trial(1)), again, exact=True) == ([], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": Verdict.FOOLED}, "is 'held', and the same attack gives 'fooled'"),
        ({"text": "other"}, "has another text than the same attack finds"),
        ({"asked": 6}, "has 5 queries, and the same attack makes 6"),
        ({"forwarded": 6}, "has another trial than the same attack gives"),
    ],
)
def test_every_difference_counts_on_the_same_software(
    changes: dict[str, object], said: str
) -> None:
    again = [trial(1).model_copy(update=changes)]
    hard, soft = search_differences(known(trial(1)), again, exact=True)
    assert hard == [f"toy/001 {said}"]
    assert soft == []


@pytest.mark.parametrize(
    "changes",
    [{"asked": 6}, {"forwarded": 6}, {"asked_at_success": 1}, {"text": "other"}],
)
def test_every_difference_is_named_on_other_software(changes: dict[str, object]) -> None:
    again = [trial(1).model_copy(update=changes)]
    hard, soft = search_differences(known(trial(1)), again, exact=False)
    assert hard == []
    assert len(soft) == 1


def test_last_digits_of_probabilities_do_not_count_on_other_software() -> None:
    again = [trial(1, probs=(0.25, 0.75))]
    assert search_differences(known(trial(1, probs=(0.24, 0.76))), again, exact=False) == ([], [])


@pytest.mark.parametrize(("fooled", "fails"), [(0, False), (1, False), (5, False), (6, True)])
def test_a_few_other_verdicts_are_no_failure_on_other_software(fooled: int, fails: bool) -> None:
    was = [trial(number) for number in range(100)]
    again = [
        each.model_copy(update={"verdict": Verdict.FOOLED}) if number < fooled else each
        for number, each in enumerate(was)
    ]
    hard, soft = search_differences(known(*was), again, exact=False)
    assert (len(hard), len(soft)) == ((fooled, 0) if fails else (0, fooled))


def test_fooled_examples_that_hold_elsewhere_make_the_record_no_better() -> None:
    was = [trial(number, Verdict.FOOLED) for number in range(10)]
    again = [each.model_copy(update={"verdict": Verdict.HELD}) for each in was]
    hard, soft = search_differences(known(*was), again, exact=False)
    assert hard == []
    assert len(soft) == 10


@pytest.mark.parametrize(("held", "share"), [(1, 0.1), (7, 0.5), (20, 0.1), (100, 0.3)])
def test_the_fewest_invented_examples_that_a_sample_meets(held: int, share: float) -> None:
    number, drawn = fewest_found(held, share, 0.95), ceil(share * held)

    def missed(invented: int) -> float:
        return comb(held - invented, drawn) / comb(held, drawn)

    assert missed(number) <= 0.05 < missed(number - 1)


def test_many_held_examples_need_as_many_as_draws_with_replacement() -> None:
    assert fewest_found(10**6, 0.1, 0.95) == 29
    assert fewest_found(10, 1.0, 0.95) == 1
