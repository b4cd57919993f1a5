"""The folder of a saved victim: its files, its card and the hashes on the card.

Schema 2 is a folder that transformers can load too::

    config.json             model type "robench": labels, fields, protocol, the encoder's config
    model.safetensors       encoder and head
    tokenizer/              the encoder's tokenizer
    tokenizer_config.json   names the tokenizer class of modeling_robench.py
    modeling_robench.py     imports the classes from robench, for ``trust_remote_code=True``
    victim.json             the card: how the victim was made, and the hash of every file above
    training.json           the log of its training: names the victim that the training made, and
                            the hash of every file in curves/
    README.md, curves/      decide no answer; README.md may be written again at any time

Card and log have a seal (``robench._base.seals``), unless an earlier version wrote them.

Schema 1 has the bare encoder in ``config.json`` and ``model.safetensors``, the head in
``head.safetensors`` and the tokenizer's files beside them. It can still be read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from robench._base.bounded_reading import Missing, Unreadable, read_json
from robench._base.errors import RobenchError
from robench._base.seals import SealBroken, file_sha256, seal_of, without_seal
from robench.models.card_form import REQUIRED, fault_of
from robench.models.training_log import read_sealed_log

SCHEMA = 2
READABLE_SCHEMAS = (1, 2)
CARD = "victim.json"
LOG = "training.json"
README = "README.md"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
HEAD = "head.safetensors"
"""The head of a victim of schema 1."""
TOKENIZER_FOLDER = "tokenizer"
CODE_FILE = "modeling_robench.py"
CURVES = "curves"
"""Folder of what trackers wrote during the training."""

REMEDY = "Delete that folder, or use --retrain."
_NOT_HASHED = {CARD, LOG, README}

_DECIDING = (
    "task",
    "labels",
    "attackable",
    "fields",
    "max_tokens",
    "protocol",
    "hidden",
    "smoothing",
)
"""What a card says about how the victim reads texts and answers."""

_MODULE = CODE_FILE.removesuffix(".py")
AUTO_MAP: dict[str, Any] = {
    "AutoConfig": f"{_MODULE}.RobenchConfig",
    "AutoModelForSequenceClassification": f"{_MODULE}.RobenchForSequenceClassification",
}
"""Where transformers finds the classes, for ``config.json``."""
TOKENIZER_CONFIG: dict[str, Any] = {
    "auto_map": {"AutoTokenizer": [f"{_MODULE}.RobenchTokenizer", None]},
    "tokenizer_class": "RobenchTokenizer",
}
"""Contents of ``tokenizer_config.json``."""
CODE = '''\
"""Load this robench victim with transformers and trust_remote_code=True.

The classes are robench's own, so robench must be installed.
"""

from robench.sharing import RobenchConfig, RobenchForSequenceClassification, RobenchTokenizer

__all__ = ["RobenchConfig", "RobenchForSequenceClassification", "RobenchTokenizer"]
'''
"""Contents of ``modeling_robench.py``. Published victims import these names: never rename them."""


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files in ``folder`` that decide a victim's answers.

    The names are relative to ``folder``, with ``/`` between their parts.
    """
    hashes = {}
    for path in sorted([*folder.iterdir(), *(folder / TOKENIZER_FOLDER).glob("*")]):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in _NOT_HASHED:
            hashes[name] = file_sha256(path)
    return hashes


def curve_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files in the folder of curves of the victim in ``folder``."""
    found = sorted((folder / CURVES).rglob("*"))
    return {
        path.relative_to(folder).as_posix(): file_sha256(path) for path in found if path.is_file()
    }


def belonging_files(folder: Path, card: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the names of a victim's own regular files, and of everything else in its folder.

    Whoever copies or packs a victim takes its own files only. A link is never one of them: it may
    lead to any file of the user. The names are relative to ``folder``, with ``/`` between parts.

    Args:
        folder: the victim's folder.
        card: its card.

    Raises:
        RobenchError: the card, the log or a file on the card is missing, is a link, or lies behind
            one.
    """
    named = {CARD, LOG, README, *card["files"]}
    own, others = list[str](), list[str]()
    # Links to folders are among the folders, and are not followed.
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for path in (Path(place) / name for name in (*files, *links)):
            name = path.relative_to(folder).as_posix()
            regular = stat.S_ISREG(path.lstat().st_mode)
            mine = name in named or name.startswith(f"{CURVES}/")
            (own if regular and mine else others).append(name)
    missing = (set(card["files"]) | {CARD} | ({LOG} & {*others})) - {*own}
    if missing:
        raise RobenchError(
            f"'{folder / min(missing)}' is missing, is a link, or lies behind one. Put the file "
            "itself in its place."
        )
    return sorted(own), sorted(others)


def weights_hash(files: Mapping[str, str]) -> str:
    """Combine the hashes of a victim's safetensors files into one SHA-256."""
    lines = ""
    for name, digest in sorted(files.items()):
        if name.endswith(".safetensors"):
            lines += f"{name} {digest}\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def identity(card: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of everything in a victim's folder that decides its answers.

    Weights, tokenizer, configuration, and how texts are read. Another victim under the same name
    has another identity, and so other cells.

    Args:
        card: its card, after ``check_files``.
    """
    files: Mapping[str, str] = card.get("files", {})
    parts = {
        "files": {name: digest for name, digest in files.items() if name != CODE_FILE},
        "card": {name: card.get(name) for name in _DECIDING},
        "splitter": card.get("ingredients", {}).get("splitter"),
    }
    return seal_of(parts)


def checked_card(folder: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """Return the card of the victim in ``folder``, after every file was compared with its hash.

    Whoever uses the victim for an attack, a certificate or a model card takes its hash from here.

    Args:
        folder: the victim's folder.
        remedy: what to do about a bad folder; the last sentence of an error.

    Raises:
        RobenchError: see ``read_card`` and ``check_files``.
    """
    card = read_card(folder, remedy)
    check_files(folder, card, remedy)
    return card


def read_card(folder: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """Return the contents of ``victim.json`` in ``folder``, without a look at the other files.

    Args:
        folder: the victim's folder.
        remedy: what to do about a bad folder; the last sentence of an error.

    Raises:
        RobenchError: the file is missing, damaged or changed, or names files outside the folder.
    """
    path = folder / CARD
    try:
        card = read_json(path)
    except Missing as error:
        raise RobenchError(f"'{folder}' holds no victim: there is no '{CARD}'. {remedy}") from error
    except Unreadable as error:
        raise RobenchError(f"'{path}' is damaged ({error.reason}). {remedy}") from error
    try:
        card = without_seal(card, required=False)
    except SealBroken as error:
        raise RobenchError(f"'{path}' is damaged or was changed ({error}). {remedy}") from error
    # True is equal to 1 in Python.
    if card.get("schema") not in READABLE_SCHEMAS or card["schema"] is True:
        raise RobenchError(
            f"'{path}' has schema {card.get('schema')!r}, but this robench reads "
            f"{' and '.join(map(str, READABLE_SCHEMAS))}. {remedy}"
        )
    missing = REQUIRED - set(card)
    if missing:
        raise RobenchError(f"'{path}' lacks {', '.join(sorted(missing))}. {remedy}")
    fault = fault_of(card)
    if fault is not None:
        raise RobenchError(f"'{path}' is not valid at {fault}. {remedy}")
    strange = [name for name in card["files"] if not _is_plain(name)]
    if strange:
        raise RobenchError(
            f"'{path}' lists '{strange[0]}', which no victim's folder holds. {remedy}"
        )
    return card


def _is_plain(name: str) -> bool:
    """Return whether ``name`` is a file of the folder itself or of its tokenizer."""
    if "\\" in name or ":" in name:
        return False
    parts = PurePosixPath(name).parts
    inside = len(parts) == 1 or (len(parts) == 2 and parts[0] == TOKENIZER_FOLDER)
    return inside and parts[-1] not in {"..", ".", "/"}


def check_files(folder: Path, card: Mapping[str, Any], remedy: str = REMEDY) -> None:
    """Compare every file of ``folder`` with its hash on the card, and the victim with its log.

    Raises:
        RobenchError: a file is missing or is not the one on the card, the card leaves out a file
            that decides answers, or the victim is not the one that its training made.
    """
    for name, expected in card["files"].items():
        path = folder / name
        if not path.is_file():
            raise RobenchError(f"The victim in '{folder}' has lost its file '{name}'. {remedy}")
        if _hash_of(path, remedy) != expected:
            raise RobenchError(
                f"'{path}' is damaged: its SHA-256 is not the one in '{CARD}'. {remedy}"
            )
    old = card["schema"] == 1
    for name in (CONFIG, WEIGHTS, HEAD) if old else (CONFIG, WEIGHTS):
        if name not in card["files"]:
            raise RobenchError(f"'{folder / CARD}' has no hash of '{name}'. {remedy}")
    if weights_hash(card["files"]) != card["sha256"]:
        raise RobenchError(
            f"'{folder / CARD}' is damaged: its 'sha256' does not follow from 'files'. {remedy}"
        )
    # The tokenizer reads every file that it finds there.
    for path in sorted((folder / TOKENIZER_FOLDER).glob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in card["files"]:
            raise RobenchError(f"'{path}' does not belong to the victim in '{folder}'. {remedy}")
    _check_log(folder, card, remedy)


def _hash_of(path: Path, remedy: str) -> str:
    try:
        return file_sha256(path)
    except Unreadable as error:
        raise RobenchError(f"'{path}' cannot be read ({error.reason}). {remedy}") from error


def _check_log(folder: Path, card: Mapping[str, Any], remedy: str) -> None:
    """Compare the victim with the log of its training, where there is one.

    Logs of earlier versions do not name the victim.
    """
    try:
        log = read_sealed_log(folder / LOG)
    except Missing:
        return
    except Unreadable as error:
        raise RobenchError(
            f"'{folder / LOG}' is damaged or was changed ({error.reason}). Restore it, or delete "
            "it: the victim works without the log of its training."
        ) from error
    made, key = log.get("victim"), log.get("key")
    if made not in (None, identity(card)) or (made is not None and key != card.get("key")):
        raise RobenchError(
            f"The victim in '{folder}' is not the one that its training made: '{LOG}' names "
            f"another. {remedy}"
        )
    curves = log.get("curves")
    for name, expected in curves.items() if isinstance(curves, dict) else ():
        path = folder / name
        inside = PurePosixPath(name).parts[:1] == (CURVES,) and ".." not in name
        if inside and path.is_file() and _hash_of(path, remedy) != expected:
            raise RobenchError(
                f"'{path}' is damaged: its SHA-256 is not the one in '{LOG}'. Delete that file: "
                "the victim works without the curves of its training."
            )
