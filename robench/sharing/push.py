"""Publish a victim on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError
from robench.models.victim_folder import CARD, README
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
            has the layout of an older robench.
    """
    check_repo(repo)
    card = card_of(folder)
    if card["schema"] == 1:
        raise UsageError(
            f"'{folder}' was saved by an older robench, and transformers would load it with a "
            "random head. Save it anew in Python: Victim.load(Path(OLD)).save(Path(NEW)), with "
            "Victim of robench.models.victim."
        )
    # The statistics are imported only when the folder is a good one.
    from robench.sharing.model_card import model_card, read_records_for, records_beside

    found = read_records_for(card, records or records_beside(folder))
    readme = model_card(card, found.records.values(), repo, licence)
    files: dict[str, Path | bytes] = {README: readme.encode(), CARD: folder / CARD}
    files |= {name: folder / name for name in sorted(card["files"])}
    return Parcel(repo, card, files, len(found.records))


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
