"""Put the records and certificates of a submission into the folder of a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.bounded_reading import read_bytes
from robench._base.errors import RobenchError, UsageError
from robench._base.files import atomic_file, make_folder
from robench.records.board import Board, admit_variants, load_board, records_folder
from robench.records.board_certificates import FOLDER, admit_certificates
from robench.records.certificate_files import find_certificates
from robench.records.comparable import cell_of
from robench.records.record import Record, sources_of
from robench.records.record_files import find_records, read_records
from robench.records.run_folder import RunFolder
from robench.submission.certificates import RunCertificates, certificates_of
from robench.submission.checking import problems
from robench.submission.refusals import refusals


@dataclass(frozen=True)
class Joined:
    """Records and certificates that were added to a board.

    Attributes:
        folder: folder of the board's records.
        added: names of the files that are new; certificates lie in ``certificates/``.
        known: names of files that were there already, byte by byte.
        tasks: names of the tasks or files that the records' examples come from, sorted.
    """

    folder: Path
    added: tuple[str, ...]
    known: tuple[str, ...]
    tasks: tuple[str, ...] = ()


def add_to_board(root: Path, name: str, board_path: Path, passed_over: list[str]) -> Joined:
    """Copy the records and certificates of an unpacked submission into the folder of a board.

    Nothing is copied unless every record and every certificate counts on the board. Whether they
    hold is not asked: that is for ``robench verify``.

    Args:
        root: the unpacked archive, or the folder of a run.
        name: how the user named it.
        board_path: the board's TOML file.
        passed_over: names of members that were not unpacked.

    Raises:
        UsageError: the submission is damaged, or the board does not take a record or a
            certificate.
        RobenchError: a record or a certificate of the board cannot be read.
    """
    for sentences in (problems(root, passed_over) or {}).values():
        for sentence in sentences:
            raise UsageError(
                f"{name} is not added. {sentence} 'robench verify {name}' names everything that is "
                "wrong."
            )
    new = _records(root, name)
    certified = _certificates(root, name, new)
    board = load_board(board_path)
    folder = records_folder(board_path, board)
    old = read_records(folder) if folder.is_dir() else {}
    fresh = {each: record for each, record in new.items() if each not in old}
    content = {each: read_bytes(root / "records" / each) for each in new}
    for each in certified.certificates:
        inside = f"{FOLDER}/{each}"
        content[inside] = read_bytes(root / inside)
    known = {each for each in content if (folder / each).exists()}
    _refuse_other_versions(name, folder, known, content)
    _refuse_taken_cells(name, fresh, old)
    try:
        admitted, twins = admit_variants(board, {**old, **fresh})
    except RobenchError as error:
        admit_variants(board, old)
        raise _disagreement(name, board_path, board, error) from error
    _refuse_misfits(name, board_path, fresh, admitted.reasons)
    members = [*admitted.records.values(), *admitted.failed.values(), *twins.records.values()]
    _refuse_misfits(
        name, board_path, certified.certificates, _misfits(folder, certified, name, members)
    )
    added = [each for each in content if each not in known]
    for each in added:
        make_folder((folder / each).parent)
        with atomic_file(folder / each) as temporary:
            temporary.write_bytes(content[each])
    tasks = sources_of(new.values())
    return Joined(folder, tuple(added), tuple(sorted(known)), tuple(tasks))


def _disagreement(name: str, path: Path, board: Board, error: RobenchError) -> UsageError:
    """Return why records that disagree with those of a board are not added."""
    reason = str(error).partition(": remove the stale one")[0]
    made = "" if board.commit is None else f" with robench's code of commit {board.commit}"
    return UsageError(
        f"{name} is not added to the board {path}. {reason}. Make the records{made} and in the "
        f"board's setting: 'robench submit start {path}' says how."
    )


def _certificates(root: Path, name: str, records: Mapping[str, Record]) -> RunCertificates:
    """Return the certificates of a submission; those that belong to no record are left behind."""
    try:
        found = certificates_of(RunFolder(root), records.values())
    except RobenchError as error:
        raise UsageError(f"{name} is not added. {error}") from error
    for each, certificate in found.certificates.items():
        if each != certificate.file_name:
            raise UsageError(
                f"{name} is not added: 'robench certify' would call '{each}' "
                f"'{certificate.file_name}'."
            )
    return found


def _misfits(
    folder: Path, certified: RunCertificates, name: str, records: Sequence[Record]
) -> Mapping[str, str]:
    """Return why the board takes a certificate not: beside its own ones and with its records."""
    own = find_certificates(folder / FOLDER)
    for reason in own.damaged.values():
        raise RobenchError(f"{name} is not added. {reason}")
    return admit_certificates({**own.certificates, **certified.certificates}, records).reasons


def _refuse_misfits(
    name: str, board: Path, files: Iterable[str], reasons: Mapping[str, str]
) -> None:
    for each in files:
        if each in reasons:
            raise UsageError(
                f"The board {board} does not take {each} of {name}: {reasons[each]}. Nothing was "
                "added."
            )


def _records(root: Path, name: str) -> dict[str, Record]:
    found = find_records(RunFolder(root).records)
    for reason in found.damaged.values():
        raise UsageError(f"{name} is not added. {reason}")
    for each, record in found.records.items():
        if each != record.file_name:
            raise UsageError(
                f"{name} is not added: a run would call '{each}' '{record.file_name}'."
            )
    refused = refusals(RunFolder(root), found.records)
    for each, reason in refused.items():
        raise UsageError(f"{name} is not added. No board takes {each}: {reason}")
    return dict(found.records)


def _refuse_other_versions(
    name: str, folder: Path, known: set[str], content: Mapping[str, bytes]
) -> None:
    for each in sorted(known):
        if read_bytes(folder / each) != content[each]:
            raise UsageError(
                f"{folder / each} is there with other content than in {name}. Remove the one that "
                "should not count. Nothing was added."
            )


def _refuse_taken_cells(name: str, fresh: Mapping[str, Record], old: Mapping[str, Record]) -> None:
    taken = {(cell_of(record), record.protocol.name): each for each, record in old.items()}
    for each, record in fresh.items():
        place = taken.get((cell_of(record), record.protocol.name))
        if place is not None:
            raise UsageError(
                f"The board has {place} for the same row, attack and seed as {each} of {name}. "
                "Remove the one that should not count. Nothing was added."
            )
