"""Bring what the shards share into the folder of the joined run: victims, surfaces and texts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench._base.files import atomic_file, make_folder, sync_folder, sync_tree
from robench.models.victim_folder import checked_card, identity
from robench.records.run_folder import RunFolder

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.shard_trials import FoundPart


def bring_files(parts: Sequence[FoundPart], out: Path, report: Reporter) -> None:
    """Copy the victim, the surface and the texts of a cell, where ``out`` lacks them.

    The joined run can then be looked at, verified and continued without the folders of the shards.
    A victim that cannot be copied is a message, because the record does not need it.

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
            _copy_file(parts, out, path)
        _copy_victim(parts, target, report)
    except OSError as error:
        raise RobenchError(
            f"The files of the shards cannot be copied to '{out}' ({error.strerror or error}). "
            "Free some space, and run the same command again."
        ) from error


def _copy_file(parts: Sequence[FoundPart], out: Path, path: Path) -> None:
    """Copy a file from the first folder that has it; its reader checks its content."""
    if path.exists():
        return
    for each in parts:
        source = each.shard.folder / path.relative_to(out)
        if source.is_file():
            with atomic_file(path) as temporary:
                shutil.copyfile(source, temporary)
            return


def _copy_victim(parts: Sequence[FoundPart], target: RunFolder, report: Reporter) -> None:
    """Copy the folder of a victim that the shards trained or found, after checking it."""
    wanted = parts[0].part.victim
    for each in parts:
        source = RunFolder(each.shard.folder)
        for log in source.training_logs(wanted.configuration):
            folder = target.victim(log.parent.name)
            if folder.exists():
                return
            try:
                same = identity(checked_card(log.parent)) == wanted.identity
            except RobenchError as error:
                report.message(f"A victim was not copied: {error}")
                continue
            if same:
                _copy_folder(log.parent, folder)
                return


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder whole or not at all."""
    temporary = target.with_name(f".{target.name}.copy")
    shutil.rmtree(temporary, ignore_errors=True)
    make_folder(target.parent)
    shutil.copytree(source, temporary)
    sync_tree(temporary)
    temporary.rename(target)
    sync_folder(target.parent)
