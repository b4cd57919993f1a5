"""Join the shards of a run: their trials into one file for each cell, and then its record.

No victim is loaded and nothing is attacked, so a machine without a GPU can do it. What a record
says of a cell comes from the parts of the shards (``robench.records.shard_part``), and what follows
from trials is computed from the trials. So the record is that of a run without shards, but for
dates, times and memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import Incomplete, RobenchError, UsageError
from robench._base.waiting import Patience
from robench.evaluation.merged_record import merged_record
from robench.evaluation.moved_files import bring_files
from robench.evaluation.results import write_leaderboard
from robench.evaluation.shard_faults import of_one_run, what_is_missing
from robench.evaluation.shard_trials import FoundPart, FoundShard, SharedTrials, joined_with
from robench.records.judged_ids import find_test_set
from robench.records.record import digest_of_ids
from robench.records.record_files import read_record, write_record
from robench.records.run_folder import RunFolder
from robench.records.shard import Shard
from robench.records.shard_part import read_part
from robench.search.trials import TrialFile
from robench.tasks.balanced import balanced_prefix

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.records.record import Record
    from robench.records.shard_part import ShardPart
    from robench.records.test_set import TestSet
    from robench.search.attack import Trial
    from robench.tasks.example import Example


def merge(folders: Sequence[Path], out: Path, report: Reporter) -> list[Record]:
    """Join the shards that lie in ``folders``, and write the records of complete cells.

    A call that was interrupted, or shards that come later, need the same call again. What is there
    is not written a second time.

    Args:
        folders: what runs with ``--shard`` wrote with ``--out``. Several shards may share one.
        out: folder of the joined run; it may be one of ``folders``.
        report: receives messages.

    Returns:
        The records of the complete cells, sorted by file name.

    Raises:
        UsageError: a folder does not exist or holds no shard.
        Incomplete: examples of a cell are missing, or its shards do not fit together. The error
            holds the records of the other cells.
        RobenchError: a file cannot be written.
    """
    shards = [shard for folder in dict.fromkeys(folders) for shard in _shards_in(folder)]
    failed: dict[str, list[str]] = defaultdict(list)
    cells = _parts_by_cell(shards, failed)
    records: list[Record] = []
    for parts in cells.values():
        first = parts[0].part
        try:
            records.append(_merge_cell(parts, shards, cells.values(), out, report))
        except UsageError:
            raise
        except RobenchError as error:
            failed[str(error)].append(first.title)
    for name in _without_parts(shards, cells.values()):
        failed["no shard of it is finished; run its shards again"].append(name)
    if records:
        write_leaderboard(out, report)
    records.sort(key=lambda record: record.file_name)
    if failed:
        raise Incomplete(failed, records)
    return records


def _shards_in(folder: Path) -> list[FoundShard]:
    """Return the shards of a folder.

    Raises:
        UsageError: there is none.
    """
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder '{folder}'. Name folders that 'robench evaluate --shard' wrote "
            "with --out."
        )
    run = RunFolder(folder)
    named = [(Shard.of_folder(path.name), path.name) for path in run.shards.glob("*")]
    found = [FoundShard(shard, folder, run.shard(name)) for shard, name in named if shard]
    if not found:
        raise UsageError(
            f"There is no shard in '{folder}'. 'robench evaluate --shard 1/4 --out FOLDER' writes "
            "them."
        )
    return sorted(found, key=lambda each: each.shard)


def _parts_by_cell(
    shards: Iterable[FoundShard], failed: dict[str, list[str]]
) -> dict[str, list[FoundPart]]:
    """Return the parts that can be read by the file name of their record, in the order of shards.

    The others are put into ``failed``.
    """
    cells: dict[str, list[FoundPart]] = defaultdict(list)
    for shard in shards:
        for path in sorted(shard.files.parts.glob("*.json")):
            try:
                part = read_part(path)
                if part.shard != shard.shard or part.file_name != path.name:
                    raise RobenchError(
                        f"'{path}' holds the part of shard {part.shard} of {part.file_name}. "
                        "Put it back where it was written."
                    )
            except RobenchError as error:
                failed[str(error)].append(f"shard {shard.shard} in '{shard.folder}'")
                continue
            cells[part.file_name].append(FoundPart(part, shard))
    for parts in cells.values():
        parts.sort(key=lambda each: each.part.shard)
    return dict(sorted(cells.items()))


def _without_parts(shards: Iterable[FoundShard], cells: Iterable[Sequence[FoundPart]]) -> list[str]:
    """Return the cells of which there are trials, and no part of any shard."""
    known = {parts[0].part.cell_name for parts in cells}
    names = {path.stem for shard in shards for path in shard.files.trials.glob("*.jsonl")}
    return sorted(names - known)


def _merge_cell(
    parts: Sequence[FoundPart],
    shards: Sequence[FoundShard],
    cells: Iterable[Sequence[FoundPart]],
    out: Path,
    report: Reporter,
) -> Record:
    """Join the trials of one cell, and write and return its record.

    Raises:
        RobenchError: trials are missing, or the shards do not fit together.
    """
    of_one_run(parts)
    first, roots = parts[0].part, [RunFolder(each.shard.folder) for each in parts]
    test_set = find_test_set([*roots, RunFolder(out)], first.task)
    examples = _judged(test_set, first)
    shared = SharedTrials(first, examples, test_set)
    part_of = {each.shard: each.part for each in parts}
    for shard in shards:
        shared.add(shard, part_of.get(shard))
    joined = _append(out, first.cell_name, first.cell, shared, report)
    bring_files(parts, out, report)
    missing = [
        (example, place % first.of + 1)
        for place, example in enumerate(examples)
        if example.id not in joined
    ]
    complete = {each.part.number for each in parts} == set(range(1, first.of + 1))
    if missing or shared.damage or not complete:
        total = len(examples)
        raise RobenchError(what_is_missing(parts, cells, missing, shared.damage, total))
    ordered = [joined[example.id] for example in examples]
    record = merged_record(parts, ordered, examples, test_set)
    path = RunFolder(out).records / record.file_name
    if not _holds(path, record):
        write_record(path, record)
    return record


def _judged(test_set: TestSet, part: ShardPart) -> Sequence[Example]:
    """Return the judged examples of a cell, in their order.

    Raises:
        RobenchError: they are not those of the shards.
    """
    whole = test_set.examples
    judged = whole if part.limit is None else balanced_prefix(whole, part.limit)
    if digest_of_ids(example.id for example in judged) != part.ids_digest:
        raise RobenchError("its texts are not those of the examples that the shards attacked")
    return judged


def _append(
    out: Path, cell_name: str, cell: str, shared: SharedTrials, report: Reporter
) -> Mapping[str, Trial]:
    """Append the trials that the joined file lacks, and return all that it holds then.

    Trials in the file that cannot be true are revoked, as a run does that continues there.

    Raises:
        RobenchError: it holds another trial of an example, or it cannot be written.
    """
    path = RunFolder(out).trials_file(cell_name)
    with TrialFile(path, Patience(None, report.message), cell=cell) as file:
        known = {trial.id: trial for trial in file.read()}
        problems = [(name, shared.problem_of(trial)) for name, trial in known.items()]
        impossible = {name: problem for name, problem in problems if problem is not None}
        if impossible:
            first, problem = next(iter(impossible.items()))
            report.message(
                f"'{path}' holds trials that cannot be true ({len(impossible)}; {first}: "
                f"{problem}). They do not count."
            )
        for name, problem in impossible.items():
            file.revoke(name, problem)
            del known[name]
        new = joined_with(known, shared.trials, path)
        for trial in new:
            file.append(trial)
    return {**known, **{trial.id: trial for trial in new}}


def _holds(path: Path, record: Record) -> bool:
    """Return whether the file holds exactly this record."""
    try:
        return path.exists() and read_record(path) == record
    except RobenchError:
        return False
