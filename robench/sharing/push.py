"""Publish a victim on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import read_bytes
from robench._base.errors import UsageError
from robench._base.foreign_code import TOKENIZER_CONFIG as TOKENIZER_CONFIG_FILE
from robench._base.foreign_code import ModelFiles, check_tokenizer
from robench.models.victim_folder import (
    AUTO_MAP,
    CARD,
    CODE,
    CODE_FILE,
    CONFIG,
    README,
    TOKENIZER_CONFIG,
    TOKENIZER_FOLDER,
)
from robench.sharing.hub import check_repo, published_card, upload
from robench.sharing.loaded import card_of


@dataclass(frozen=True)
class Parcel:
    """What ``push`` sends.

    Attributes:
        repo: ``USER/NAME``.
        card: the contents of ``victim.json``.
        files: name in the repository -> its path, or its content where it is made for the hub.
        records: number of records in the model card.
    """

    repo: str
    card: Mapping[str, Any]
    files: Mapping[str, Path | bytes]
    records: int

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> size in bytes."""
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }


def pack(folder: Path, repo: str, records: Path | None = None, licence: str = "unknown") -> Parcel:
    """Collect what is to be sent, without a network: the files on the card, and a model card.

    Args:
        folder: the victim's folder.
        repo: ``USER/NAME``.
        records: folder of records; None for that of the victim's own run.
        licence: the hub's name of a licence, for the model card.

    Raises:
        UsageError: the folder holds no victim, a file is not the one on the card, or the victim
            has the layout of an older robench, or it holds code of others.
    """
    check_repo(repo)
    card = card_of(folder)
    if card["schema"] == 1:
        raise UsageError(
            f"'{folder}' was saved by an older robench, and transformers would load it with a "
            "random head. Save it anew in Python: Victim.load(Path(OLD)).save(Path(NEW)), with "
            "Victim of robench.models.victim."
        )
    _check_code(folder, card["files"])
    # The statistics are imported only when the folder is a good one.
    from robench.sharing.model_card import model_card, read_records_for, records_beside

    found = read_records_for(card, records or records_beside(folder))
    readme = model_card(card, found.records.values(), repo, licence)
    files: dict[str, Path | bytes] = {README: readme.encode(), CARD: folder / CARD}
    files |= {name: folder / name for name in sorted(card["files"])}
    return Parcel(repo, card, files, len(found.records))


def _check_code(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder whose code is not robench's own, because others would run it.

    Raises:
        UsageError: a file holds other code, or a configuration names other code.
    """
    names = set(names)
    files = ModelFiles(
        f"'{folder}'",
        str(folder),
        lambda name: folder / name if (folder / name).is_file() else None,
        never="and push publishes only robench's own code. Train the victim again.",
    )
    named = files.json(CONFIG).get("auto_map"), files.json(TOKENIZER_CONFIG_FILE).get("auto_map")
    strange = [name for name in sorted(names) if name.endswith(".py") and name != CODE_FILE]
    if CODE_FILE in names and read_bytes(folder / CODE_FILE) != CODE.encode():
        strange.append(CODE_FILE)
    if named[0] != AUTO_MAP:
        strange.append(CONFIG)
    if named[1] != TOKENIZER_CONFIG["auto_map"]:
        strange.append(TOKENIZER_CONFIG_FILE)
    if strange:
        raise UsageError(
            f"'{folder / strange[0]}' is not as robench writes it and may hold or name other code. "
            "push publishes only robench's own code. Train the victim again."
        )
    check_tokenizer(replace(files, find=lambda name: files.find(f"{TOKENIZER_FOLDER}/{name}")))


def push(parcel: Parcel, public: bool = False) -> str:
    """Send a parcel to the hub and return the address of the repository.

    A new repository is private unless ``public``. A victim that is there already is replaced only
    by itself, for example with a newer model card.

    Raises:
        UsageError: the repository holds something else, there is no token, or the hub cannot be
            reached.
    """
    there = published_card(parcel.repo)
    if there is not None and there["sha256"] != parcel.card["sha256"]:
        raise UsageError(
            f"'{parcel.repo}' holds another victim ({there['name']} on {there['task']}, weights "
            f"{there['sha256'][:8]}, not {parcel.card['sha256'][:8]}). Choose another repository."
        )
    message = f"Upload {parcel.card['name']} on {parcel.card['task']}, made with robench"
    return upload(parcel.repo, parcel.files, message, public)
