"""The scripts and styles of the pages: robench's own, and pinned files of other projects.

Pages need no network, so everything that they use ships with robench. The files of other projects
are copied byte by byte from their npm packages. ``LICENSES.txt`` beside them has their licences.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "bundled"
LICENSES: Final = "LICENSES.txt"
"""Name of the file with the licences of the bundled scripts."""
OWN: Final = ("site.js", "site.css")
"""Names of robench's own files."""


@dataclass(frozen=True)
class Pin:
    """A bundled file of another project.

    Attributes:
        package: the npm package.
        version: its version.
        file: where the file lies in the package.
        sha256: hash of the file.
    """

    package: str
    version: str
    file: str
    sha256: str


PINS: Final = {
    "vega.min.js": Pin(
        "vega",
        "6.4.0",
        "build/vega.min.js",
        "8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f",
    ),
    "vega-lite.min.js": Pin(
        "vega-lite",
        "6.5.0",
        "build/vega-lite.min.js",
        "83e215e84e308ee8688fa6503ba0f1cf8a3c05c0d61df2841a0b92bf86809e00",
    ),
    "vega-embed.min.js": Pin(
        "vega-embed",
        "7.3.0",
        "build/vega-embed.min.js",
        "b1455caba2fb1a72fb46025ba0ba1316e2dbc7f0dd40a3f6040172bf9c08ba91",
    ),
}
"""Name of a bundled file -> where it comes from. The order is that of loading."""

SCRIPTS: Final = (*PINS, "site.js")
"""All scripts of a page, in the order of loading."""


@cache
def text_of(name: str) -> str:
    """Return the content of a bundled file."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def policy_hash(name: str) -> str:
    """Return the hash of a script as a content security policy names it: ``'sha256-…'``."""
    digest = hashlib.sha256(text_of(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
