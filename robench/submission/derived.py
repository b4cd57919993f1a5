"""The files of a submission that robench makes from the others.

``robench submit pack`` writes them, and ``robench verify`` makes them again and compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from robench._base.errors import RobenchError
from robench.models.victim_folder import CARD, README, read_card
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.trial_export import to_jsonl
from robench.records.trial_texts import join_trials
from robench.search.attack import Verdict
from robench.sharing.model_card import model_card
from robench.submission.manifest import ADVERSARIAL


def adversarial_name(record: Record) -> str:
    """Return the name of the file with the texts that fooled the victim of a record."""
    return f"{ADVERSARIAL}/{record.cell_name}.jsonl"


def adversarial_texts(folder: RunFolder, record: Record) -> bytes:
    """Return the texts that fooled the victim, one JSON object a line, in the order of the ids.

    Raises:
        RobenchError: trials or texts are missing or do not fit the record.
    """
    trials = join_trials(folder, record)
    return to_jsonl([each for each in trials if each.verdict == Verdict.FOOLED]).encode()


def victim_folders(folder: RunFolder, records: Sequence[Record]) -> dict[Path, list[Record]]:
    """Return the folders of the victims of records, with the records of each.

    A folder belongs to a record if its card has the key of the record's victim. A card that
    cannot be read belongs to none. A folder whose name begins with a dot is a copy that did not
    end.
    """
    found: dict[Path, list[Record]] = {}
    for path in sorted(folder.victims.glob(f"[!.]*/{CARD}")):
        try:
            key = read_card(path.parent).get("key")
        except RobenchError:
            continue
        mine = [record for record in records if record.victim.configuration == key]
        if mine:
            found[path.parent] = mine
    return found


def cards(folder: RunFolder, records: Sequence[Record]) -> Mapping[str, bytes]:
    """Return the model card of each victim, by its name inside the archive."""
    found = {}
    for place, mine in victim_folders(folder, records).items():
        text = model_card(read_card(place), mine)
        found[f"victims/{place.name}/{README}"] = text.encode()
    return found
