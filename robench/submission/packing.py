"""Pack the results of a run into one archive that ``robench verify`` reads."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from robench._base.bounded_reading import Unreadable, limit_of, open_bounded, read_text
from robench._base.errors import RobenchError, UsageError
from robench._base.files import atomic_file, write_text
from robench._base.seals import file_sha256
from robench.models.victim_folder import belonging_files, read_card
from robench.records.record import Record, sources_of
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.submission.certificates import (
    RunCertificates,
    certificates_of,
    surface_files,
    verdicts_file,
)
from robench.submission.checklist import checklist, open_items, read_answers
from robench.submission.derived import adversarial_name, adversarial_texts, cards, victim_folders
from robench.submission.facts import facts_of
from robench.submission.manifest import (
    CHECKLIST,
    MANIFEST,
    FilePart,
    file_part,
    manifest_of,
)
from robench.submission.refusals import refusals
from robench.tasks.archive_bounds import MEMBER, PACKED, WHOLE

SUFFIX: Final = ".zip"
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Date of every member: the archive holds no time, so the same run gives the same bytes."""
_RANDOM: Final = (".safetensors", ".parquet")
"""Files that no compression makes smaller."""
_BLOCK: Final = 2**20

Content = Path | bytes


@dataclass(frozen=True)
class Packed:
    """A packed submission.

    Attributes:
        path: the archive.
        sha256: hash of its bytes.
        size: number of its bytes.
        records: names of the record files in it.
        files: number of all files in it.
        certificates: names of the certificates in it.
        left_out: certificate of the run that is not in it -> why.
        without_victim: names of record files whose victim is not in it.
        without_digest: names of record files of earlier versions, which do not name their trials.
        open_items: titles of the checklist that nobody answered.
        checklist: the checklist to fill in, beside the archive; None where one was given.
        passed_over: names of links and other files in the victims' folders that belong to no
            victim, so they are not in it.
        tasks: names of the tasks that the records' examples come from, sorted.
        limited: names of record files of limited runs (``--limit``) that are not in it, because
            the record of the whole run is.
    """

    path: Path
    sha256: str
    size: int
    records: tuple[str, ...]
    files: int
    certificates: tuple[str, ...]
    left_out: Mapping[str, str]
    without_victim: tuple[str, ...]
    without_digest: tuple[str, ...]
    open_items: tuple[str, ...]
    checklist: Path | None
    passed_over: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()


def pack(
    run: Path,
    out: Path | None = None,
    *,
    names: Sequence[str] = (),
    victims: bool = True,
    answers: Path | None = None,
) -> Packed:
    """Pack the records of a run with their trials, texts, surfaces, victims and certificates.

    Args:
        run: the folder that ``robench evaluate --out`` wrote.
        out: the archive; None for ``NAME.zip`` beside the folder.
        names: only record files with one of these texts in their name; empty for all.
        victims: whether the victims and the surfaces come with them. Without, the records stay
            claimed.
        answers: a checklist that was filled in; None for one with open answers.

    Raises:
        UsageError: there is no such run, or a record cannot reach a board.
        RobenchError: a file cannot be read or written.
    """
    folder = RunFolder(run)
    target = _beside(run) if out is None else out
    if not target.name.endswith(SUFFIX):
        raise UsageError(f"--out {target}: an archive of a submission ends in '{SUFFIX}'.")
    given = None if answers is None else _answers(answers)
    records, limited = _records(folder, names)
    facts = list(records.values())
    certified = certificates_of(folder, facts)
    content, passed_over = _contents(folder, records, certified, victims)
    content[CHECKLIST] = checklist(facts, given).encode()
    parts = {name: _part(each) for name, each in sorted(content.items())}
    content[MANIFEST] = manifest_of(parts)
    _check_size(content)
    _write(target, content)
    blank = _blank(target, content[CHECKLIST]) if given is None else None
    there = _configurations(folder, facts) if victims else set()
    return Packed(
        target,
        file_sha256(target),
        target.stat().st_size,
        tuple(records),
        len(content),
        tuple(certified.certificates),
        certified.reasons,
        tuple(name for name, each in records.items() if each.victim.configuration not in there),
        tuple(name for name, each in records.items() if each.trials is None),
        tuple(open_items(given or {}, facts_of(facts))),
        blank,
        tuple(passed_over),
        tuple(sources_of(records.values())),
        limited,
    )


def _configurations(folder: RunFolder, records: Sequence[Record]) -> set[str | None]:
    """Return the configurations of the victims that lie in a run."""
    found = victim_folders(folder, records).values()
    return {record.victim.configuration for mine in found for record in mine}


def _beside(run: Path) -> Path:
    """Return the archive beside the folder of a run."""
    folder = run if run.name not in ("", "..") else run.resolve()
    return folder.with_name(f"{folder.name}{SUFFIX}")


def _answers(path: Path) -> dict[str, str]:
    try:
        return read_answers(read_text(path), str(path))
    except Unreadable as error:
        raise UsageError(
            f"The checklist {path} cannot be read: {error.reason}. Name the file that "
            "'robench submit pack' wrote and that you filled in."
        ) from error


def _records(folder: RunFolder, names: Sequence[str]) -> tuple[dict[str, Record], tuple[str, ...]]:
    """Return the records to pack by their file names, and the files of limited runs of the same.

    Raises:
        UsageError: there are none, or one cannot reach a board.
        RobenchError: one cannot be read.
    """
    if not folder.records.is_dir():
        raise UsageError(
            f"'{folder.root}' holds no folder 'records'. Name the folder that 'robench evaluate "
            "--out' wrote."
        )
    found = find_records(folder.records)
    if found.damaged:
        raise RobenchError(next(iter(found.damaged.values())))
    records = {
        name: record
        for name, record in sorted(found.records.items())
        if not names or any(part in name for part in names)
    }
    if not records:
        which = f" with {' or '.join(names)} in its name" if names else ""
        raise UsageError(f"'{folder.root}' holds no record{which}, so there is nothing to pack.")
    whole = {record.cell for record in records.values() if record.limit is None}
    limited = tuple(
        name
        for name, record in records.items()
        if record.limit is not None and record.cell in whole
    )
    records = {name: record for name, record in records.items() if name not in limited}
    refused = refusals(folder, records)
    if refused:
        name, reason = next(iter(refused.items()))
        others = f" {len(refused) - 1} more records are refused." if len(refused) > 1 else ""
        raise UsageError(
            f"No board takes {name}: {reason}{others} --record packs only the records that you "
            "name."
        )
    return records, limited


def _contents(
    folder: RunFolder, records: Mapping[str, Record], certified: RunCertificates, victims: bool
) -> tuple[dict[str, Content], list[str]]:
    """Return name inside the archive -> file or bytes, without checklist and manifest.

    The second value are the names of what lies in a victim's folder and does not belong to it.
    """
    content: dict[str, Content] = {}
    passed_over: list[str] = []
    for name, record in records.items():
        content[f"records/{name}"] = folder.records / name
        trials = folder.trials_file(record.cell_name)
        content[f"trials/{trials.name}"] = trials
        texts = folder.examples_file(record.task.file_part, record.task.digest)
        content[f"examples/{texts.name}"] = texts
        content[adversarial_name(record)] = adversarial_texts(folder, record)
    shown, certificates = list(records.values()), certified.certificates
    for name, certificate in certificates.items():
        verdicts = verdicts_file(folder, certificate)
        content[f"certificates/{name}"] = folder.certificates / name
        content[f"certificates/{verdicts.name}"] = verdicts
    if victims:
        for path in surface_files(folder, shown, certificates.values()):
            content[f"surfaces/{path.name}"] = path
        for place in victim_folders(folder, shown):
            own, others = belonging_files(place, read_card(place))
            content |= {f"victims/{place.name}/{inside}": place / inside for inside in own}
            passed_over += [f"victims/{place.name}/{inside}" for inside in others]
        content |= cards(folder, shown)
    for each in content.values():
        # In the folder of a stranger, it could bring any file of the user into the archive.
        if isinstance(each, Path) and each.is_symlink():
            raise UsageError(f"'{each}' is a link. Put the file itself in its place.")
    return content, passed_over


def _part(content: Content) -> FilePart:
    if isinstance(content, bytes):
        return file_part(content)
    return FilePart(sha256=file_sha256(content), size=content.stat().st_size)


def _check_size(content: Mapping[str, Content]) -> None:
    """Raise UsageError if ``robench verify`` would refuse the archive as too large."""
    sizes = {
        name: len(each) if isinstance(each, bytes) else each.stat().st_size
        for name, each in content.items()
    }
    name, largest = max(sizes.items(), key=lambda item: item[1])
    whole, most = sum(sizes.values()), min(limit_of(WHOLE), limit_of(PACKED))
    if largest > limit_of(MEMBER) or whole > most:
        what = f"{name} has {largest:,} bytes" if whole <= most else f"it has {whole:,} bytes"
        raise UsageError(
            f"The archive would be too large for 'robench verify': {what}. Pack fewer records "
            "with --record, or leave the victims out with --no-victims."
        )


def _write(target: Path, content: Mapping[str, Content]) -> None:
    """Write the archive whole or not at all; the same content gives the same bytes."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name in sorted(content):
                _add(archive, name, content[name])
    except OSError as error:
        raise RobenchError(
            f"Cannot write {target}: {error.strerror or error}. Name another --out."
        ) from error


def _add(archive: zipfile.ZipFile, name: str, content: Content) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system, info.external_attr = 3, 0o644 << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_RANDOM) else zipfile.ZIP_DEFLATED
    if isinstance(content, bytes):
        archive.writestr(info, content)
        return
    info.file_size = content.stat().st_size
    with open_bounded(content, None) as source, archive.open(info, "w") as target:
        while block := source.read(_BLOCK):
            target.write(block)


def _blank(target: Path, content: Content) -> Path | None:
    """Write the checklist to fill in beside the archive; an existing one may hold answers."""
    path = target.with_name(f"{target.stem}-{CHECKLIST}")
    if path.exists():
        return path
    assert isinstance(content, bytes)
    write_text(path, content.decode())
    return path
