"""The conditions below a table."""

from __future__ import annotations

from collections.abc import Callable

from robench.records.notes import conditions
from robench.records.record import Record


def test_disbelieved_claims_are_shown_only_if_there_are_some(
    make_record: Callable[..., Record],
) -> None:
    silent = [make_record("HHF"), make_record("HHF", attack="pwws", disbelieved=None)]
    assert not any("did not confirm" in line for line in conditions(silent))
    lines = [
        line
        for line in conditions([*silent, make_record("HHF", defense="rift", seed=3, disbelieved=2)])
        if "did not confirm" in line
    ]
    assert lines == [
        "Examples that held although the search saw the victim fooled, because the verdict did "
        "not confirm it: rift under genetic, seed 3: 2."
    ]
