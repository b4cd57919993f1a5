"""The version of robench."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("robench")
except PackageNotFoundError:
    # A checkout that was never installed.
    __version__ = "0+unknown"
