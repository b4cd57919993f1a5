"""Does an unpacked submission agree with its list of files, and with what robench makes of it?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from robench._base.bounded_reading import MB, Bounds, Unreadable, read_bytes
from robench._base.errors import RobenchError
from robench._base.escaping import NAME, one_line
from robench._base.release import __version__
from robench._base.seals import file_sha256
from robench.models.victim_folder import CARD
from robench.records.record import Record
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.submission.certificates import foreign_files
from robench.submission.checklist import checklist, read_answers
from robench.submission.derived import adversarial_name, adversarial_texts, cards
from robench.submission.manifest import ADVERSARIAL, CHECKLIST, MANIFEST, read_manifest

_TEXTS: Final = Bounds(size=1024 * MB)

Problems = Mapping[str, list[str]]
DERIVED: Final = ("adversarial texts", "cards", "checklist")
"""Checks that make a file again, as this version of robench makes it."""
OTHERS: Final = "certificates and surfaces"
"""Check that each certificate and each surface belongs to a record."""


def problems(root: Path, passed_over: Collection[str] = ()) -> Problems | None:
    """Return what is wrong with an unpacked submission: name of a check -> sentences.

    The checks are ``files``, ``OTHERS`` and those of ``DERIVED``, which are missing where another
    version of robench packed the archive. The records and the certificates themselves are for
    ``robench verify``.

    Args:
        root: the unpacked archive.
        passed_over: names of members that were not unpacked, because no run has such files.

    Returns:
        None where the archive is no submission: it has no list of files, and nothing that only
        submissions have.
    """
    try:
        manifest = read_manifest(root)
    except RobenchError as error:
        return {"files": [str(error)]}
    if manifest is None:
        return _without_a_list(root)
    folder = RunFolder(root)
    records = find_records(folder.records).records
    listed = {name: part.sha256 for name, part in manifest.files.items()}
    checks = {
        "files": _file_problems(root, listed, passed_over),
        OTHERS: foreign_files(folder, records.values()),
    }
    if manifest.robench != __version__:
        return checks
    return checks | {
        "adversarial texts": _text_problems(folder, records),
        "cards": _card_problems(folder, list(records.values())),
        "checklist": _checklist_problems(root, list(records.values())),
    }


def _without_a_list(root: Path) -> Problems | None:
    """Say that a submission has lost its list of files; None for any other archive."""
    own = next((name for name in (ADVERSARIAL, CHECKLIST) if (root / name).exists()), None)
    if own is None:
        return None
    problem = (
        f"The archive has '{own}' and no '{MANIFEST}', so its texts, cards and checklist are "
        "compared with nothing. Pack it again with 'robench submit pack'."
    )
    return {"files": [problem]}


def _file_problems(
    root: Path, listed: Mapping[str, str], passed_over: Collection[str]
) -> list[str]:
    found = [
        f"The archive holds '{one_line(name, NAME)}', which no submission has."
        for name in sorted(passed_over)
    ]
    there = {
        path.relative_to(root).as_posix(): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path != root / MANIFEST
    }
    for name in sorted({*listed} | {*there}):
        said = one_line(name, NAME)
        if name not in there:
            found.append(f"'{said}' is missing.")
        elif name not in listed:
            found.append(f"'{said}' is not in the list of files.")
        elif file_sha256(there[name]) != listed[name]:
            found.append(f"'{said}' is not the file that the list names.")
    return found


def _text_problems(folder: RunFolder, records: Mapping[str, Record]) -> list[str]:
    """Return which files of adversarial texts are not what the trials give."""
    found, known = [], set()
    for record in records.values():
        name = adversarial_name(record)
        known.add(name)
        try:
            wanted = adversarial_texts(folder, record)
            held = read_bytes(folder.root / name, _TEXTS, inside=folder.root)
        except Unreadable as error:
            found.append(f"'{name}' cannot be read: {error.reason}.")
        except RobenchError as error:
            found.append(f"'{name}' cannot be compared: {error}")
        else:
            if wanted != held:
                found.append(f"'{name}' does not hold the texts of the trials.")
    others = sorted(
        f"{ADVERSARIAL}/{path.name}"
        for path in (folder.root / ADVERSARIAL).glob("*")
        if f"{ADVERSARIAL}/{path.name}" not in known
    )
    return [*found, *(f"'{one_line(name, NAME)}' belongs to no record." for name in others)]


def _card_problems(folder: RunFolder, records: list[Record]) -> list[str]:
    """Return which model cards are not what victim and records give."""
    found = []
    try:
        wanted = cards(folder, records)
    except (RobenchError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"A model card cannot be made again: {one_line(error, NAME)}."]
    for name, text in wanted.items():
        try:
            if read_bytes(folder.root / name, inside=folder.root) != text:
                found.append(f"'{name}' is not the card that the records give.")
        except Unreadable as error:
            found.append(f"'{name}' cannot be read: {error.reason}.")
    mine = {name.split("/")[1] for name in wanted}
    others = sorted(
        path.name
        for path in folder.victims.glob("*")
        if path.name not in mine and (path / CARD).exists()
    )
    return [*found, *(f"The victim '{one_line(n, NAME)}' belongs to no record." for n in others)]


def _checklist_problems(root: Path, records: list[Record]) -> list[str]:
    try:
        text = read_bytes(root / CHECKLIST, inside=root).decode("utf-8")
        answers = read_answers(text, CHECKLIST)
    except (Unreadable, UnicodeDecodeError):
        return [f"'{CHECKLIST}' is missing or cannot be read."]
    except RobenchError as error:
        return [str(error)]
    if checklist(records, answers) != text:
        return [f"'{CHECKLIST}' says of the records what they do not say."]
    return []
