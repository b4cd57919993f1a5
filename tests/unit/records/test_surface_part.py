"""What a record says about its surface."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from robench.records import record
from robench.records.surface_part import SurfacePart

KEY, OWN = "a" * 64, "b" * 64
LEAST = {"key": KEY, "language_model": "none", "constrained": False}


def test_records_of_one_table_share_the_key_of_the_tasks_own_set() -> None:
    assert SurfacePart(**LEAST).table_key == KEY
    assert SurfacePart(**LEAST, own_key=OWN, held_out=True).table_key == OWN


def test_older_records_say_nothing_of_the_set() -> None:
    part = SurfacePart(**LEAST)
    assert (part.substitutions, part.held_out, part.unattackable, part.scores) == (None,) * 4
    assert not part.outside


def test_the_part_is_imported_from_the_record_too() -> None:
    assert record.SurfacePart is SurfacePart


@pytest.mark.parametrize(
    ("field", "value"), [("key", "short"), ("unattackable", -1), ("unattackables", 3)]
)
def test_a_wrong_field_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as error:
        SurfacePart(**{**LEAST, field: value})
    assert [each["loc"] for each in error.value.errors()] == [(field,)]
