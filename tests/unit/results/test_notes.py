"""The conditions beneath a table."""

from __future__ import annotations

from collections.abc import Callable

from robench.results.notes import conditions
from robench.results.record import Record


def test_claims_that_were_not_believed_are_told_only_where_there_are_some(
    make_record: Callable[..., Record],
) -> None:
    silent = [make_record("HHF"), make_record("HHF", attack="pwws", disbelieved=None)]
    assert not any("denied" in line for line in conditions(silent))
    lines = [
        line
        for line in conditions([*silent, make_record("HHF", defense="rift", seed=3, disbelieved=2)])
        if "denied" in line
    ]
    assert lines == [
        "Held although the search claimed a success or an answer to it was one, which the verdict denied: rift under genetic, seed 3: 2."
    ]
