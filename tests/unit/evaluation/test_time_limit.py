"""The time limit of a search: who has one, and what is no limit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from robench._base.errors import UsageError
from robench.evaluation.time_limit import check_seconds, remark_of_limit, time_limit


@dataclass
class Named:
    """What the limit reads of an attack."""

    built_in: bool
    registered: str = "mine"


OWN, OTHER = Named(built_in=True), Named(built_in=False)


@pytest.mark.parametrize(
    ("wanted", "own", "other"), [(None, None, 3600.0), (0.0, None, None), (2.5, 2.5, 2.5)]
)
def test_only_attacks_of_others_have_a_limit_by_themselves(
    wanted: float | None, own: float | None, other: float | None
) -> None:
    assert (time_limit(wanted, OWN), time_limit(wanted, OTHER)) == (own, other)


def test_a_limit_that_nobody_set_is_said() -> None:
    said = remark_of_limit(None, OTHER)
    assert said is not None
    assert "'mine' is not a built-in, so an example may take at most 3600 s" in said
    assert [remark_of_limit(each, OTHER) for each in (0.0, 5.0)] == [None, None]
    assert remark_of_limit(None, OWN) is None


@pytest.mark.parametrize("wanted", [-1.0, float("nan"), float("inf"), -0.001, 1.1e15])
def test_what_is_no_time_is_refused(wanted: float) -> None:
    with pytest.raises(UsageError, match=r"--example-seconds takes 0 \(no limit\) or up to"):
        check_seconds(wanted)


@pytest.mark.parametrize("wanted", [None, 0.0, 0.1, 1e9])
def test_a_time_is_taken(wanted: float | None) -> None:
    check_seconds(wanted)
