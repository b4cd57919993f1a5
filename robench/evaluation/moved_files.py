"""Bring what the shards share into the folder of the joined run: victims, surfaces and texts."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from robench._base.errors import RobenchError
from robench._base.escaping import NAME, one_line
from robench._base.files import atomic_file, open_itself, sync_folder, sync_tree
from robench._base.waiting import Patience, alone
from robench.models.victim_folder import belonging_files, checked_card, identity
from robench.records.run_folder import RunFolder

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.shard_trials import FoundPart

_COPY: Final = ".copy"
"""End of the name of a folder whose copy is not finished."""


def bring_files(parts: Sequence[FoundPart], out: Path, report: Reporter) -> None:
    """Copy the victim, the surface and the texts of a cell, where ``out`` lacks them.

    The joined run can then be looked at, verified and continued without the folders of the shards.
    A victim that cannot be copied is a message, because the record does not need it. Links are not
    followed: a stranger's folder could bring any file of the user into ``out``.

    Args:
        parts: the parts of the cell.
        out: folder of the joined run.
        report: receives messages.

    Raises:
        RobenchError: a file cannot be written.
    """
    target, part = RunFolder(out), parts[0].part
    texts = target.examples_file(part.task.file_part, part.task.digest)
    surface = target.surfaces / f"{part.surface.key}.parquet"
    try:
        for path in (texts, surface):
            _copy_file(parts, out, path, report)
        _copy_victim(parts, target, report)
    except OSError as error:
        raise RobenchError(
            f"The files of the shards cannot be copied to '{out}' ({error.strerror or error}). "
            "Free some space, and run the same command again."
        ) from error


def _copy_file(parts: Sequence[FoundPart], out: Path, path: Path, report: Reporter) -> None:
    """Copy a file from the first folder that has it; its reader checks its content."""
    if path.exists():
        return
    for each in parts:
        source = each.shard.folder / path.relative_to(out)
        if source.is_symlink():
            report.message(f"'{source}' was not copied: it is a link. Put the file in its place.")
        elif source.is_file():
            with atomic_file(path) as temporary:
                _copy_itself(source, temporary)
            return


def _copy_victim(parts: Sequence[FoundPart], target: RunFolder, report: Reporter) -> None:
    """Copy the folder of a victim that the shards trained or found, after checking it."""
    wanted = parts[0].part.victim
    for each in parts:
        source = RunFolder(each.shard.folder)
        for log in source.training_logs(wanted.configuration):
            folder = target.victim(log.parent.name)
            if folder.exists() and not _unfinished_copies(folder):
                return
            try:
                card = checked_card(log.parent)
                if identity(card) == wanted.identity:
                    copy_victim(log.parent, card, folder, report)
                    return
            except RobenchError as error:
                report.message(f"A victim was not copied: {error}")


def copy_victim(source: Path, card: Mapping[str, Any], target: Path, report: Reporter) -> None:
    """Copy a victim's own files to ``target``, whole or not at all, unless it is there.

    The lock is that of trainings. So of several runs one copies or trains the victim, and the
    others wait for it.

    Args:
        source: the victim's folder.
        card: its card, after it was checked.
        target: the folder that it gets.
        report: receives messages, such as what else lies in ``source``.

    Raises:
        RobenchError: a file of the victim is a link.
        OSError: a file cannot be written.
    """
    from robench.training.saving import training_lock_file

    own, others = belonging_files(source, card)
    who = f"Another run is making the victim '{target}'."
    with alone(training_lock_file(target), who, Patience(None, report.message)):
        # Nobody else copies this victim now, so these were left by runs that were killed.
        for path in _unfinished_copies(target):
            shutil.rmtree(path, ignore_errors=True)
        if target.exists():
            return
        # The name is new each time: a file system may have no locks.
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_COPY}")
        draft.mkdir()
        try:
            _copy_own(own, source, draft)
            sync_tree(draft)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(target.parent)
    if others:
        more = f" and {len(others) - 1} more were" if len(others) > 1 else " was"
        report.message(
            f"'{one_line(others[0], NAME)}'{more} not copied from '{source}': only regular files "
            "of a victim are."
        )


def _copy_own(names: Sequence[str], source: Path, draft: Path) -> None:
    for name in names:
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        _copy_itself(source / name, draft / name)


def _unfinished_copies(target: Path) -> list[Path]:
    """Return the folders of copies of ``target`` that did not end, or not yet."""
    # Earlier versions left ".NAME.copy".
    start, folder = f".{target.name}.", target.parent
    names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    return [folder / each for each in names if each.startswith(start) and each.endswith(_COPY)]


def _copy_itself(source: Path, target: Path) -> None:
    """Copy the content of a regular file; a link that took its place meanwhile is refused."""
    descriptor = open_itself(source, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as stream, target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 2**20)
