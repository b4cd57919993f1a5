"""The device that is always full: Linux has it, others do not, and where somebody has put a file in its place it proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

FULL = Path("/dev/full")

full_device = pytest.mark.skipif(
    not FULL.is_char_device(), reason="there is no device /dev/full here"
)
