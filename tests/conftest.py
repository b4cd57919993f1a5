"""Fixtures for tests of several rooms."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# The helper modules of the tests are in this folder.
sys.path.append(str(Path(__file__).parent))

from robench.records.record import Record

# A shell starts background jobs with Ctrl-C ignored, and child processes inherit that. The tests
# that interrupt a child would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same holds for SIGHUP under nohup.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# The tests keep no log of times in the cache of whoever runs them.
os.environ["ROBENCH_RATES"] = ""
# Processes of pytest-xdist have a width of their own in the environment, which breaks tables.
os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the many tries of one fault, unless ``make test-faults`` asks for them."""
    if "ROBENCH_FAULT_TRIES" in os.environ:
        return
    many = [item for item in items if item.get_closest_marker("many") is not None]
    if many:
        config.hook.pytest_deselected(items=many)
        items[:] = [item for item in items if item.get_closest_marker("many") is None]


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """Return the function that makes records with given outcomes; see ``tests/records.py``."""
    from records import make_record as make

    return make
