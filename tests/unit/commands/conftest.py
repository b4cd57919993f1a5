"""The environment of each test of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from robench._base.quiet import QUIET_SETTINGS


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ROBENCH_DATA", raising=False)
    before = dict(os.environ)
    yield
    for name in QUIET_SETTINGS:
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]
