"""The mark for tests that need ``/dev/full``, the device of Linux that is always full.

They are skipped where it is missing, or where an ordinary file has its name.
"""

from __future__ import annotations

from pathlib import Path

import pytest

FULL = Path("/dev/full")

full_device = pytest.mark.skipif(
    not FULL.is_char_device(), reason="there is no device /dev/full here"
)
