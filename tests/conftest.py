"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # helper modules of the tests themselves

from robench.results.record import Record

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests that interrupt one would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """Makes records with given outcomes, see ``tests/records.py``."""
    from records import make_record as make

    return make
