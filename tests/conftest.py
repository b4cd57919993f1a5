"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # helper modules of the tests themselves

from robench.results.record import Record


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """Makes records with given outcomes, see ``tests/records.py``."""
    from records import make_record as make

    return make
