"""What is verified: the records of a run's folder, of a board, or of an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from robench._base.errors import UsageError
from robench.records.board import load_board, records_folder
from robench.records.run_folder import RunFolder
from robench.verification.unpacking import is_archive, unpack


@dataclass(frozen=True)
class Target:
    """What is verified.

    Attributes:
        name: as the user named it.
        records: folder of the records.
        certificates: folders of certificates.
        folders: the runs where trials, texts, surfaces and victims lie.
        board: a board's TOML file, or None.
        run: the folder of the run, or None for a board.
        lasting: whether a result can be stored beside the records.
        passed_over: names of members of the archive that were not unpacked.
        archives: the archive of each temporary folder that one was unpacked into.
    """

    name: str
    records: Path
    certificates: Sequence[Path]
    folders: Sequence[RunFolder]
    board: Path | None = None
    run: RunFolder | None = None
    lasting: bool = True
    passed_over: Sequence[str] = ()
    archives: Mapping[Path, Path] = field(default_factory=dict)

    def as_named(self, sentence: str) -> str:
        """Return a sentence with the user's archives in the place of temporary folders."""
        for folder, archive in self.archives.items():
            sentence = sentence.replace(str(folder), str(archive))
        return sentence


@contextmanager
def opened(name: Path, runs: Sequence[Path]) -> Iterator[Target]:
    """Find out what a name stands for; an archive is unpacked for as long as the block runs.

    Args:
        name: a run's folder, a board's TOML file, or an archive of a run's folder.
        runs: further folders, or archives of folders, where trials and victims lie.

    Raises:
        UsageError: it is none of these.
    """
    for run in runs:
        if not run.is_dir() and not is_archive(run):
            raise UsageError(
                f"--runs {run}: there is no such folder or archive. Name one that 'robench "
                "evaluate --out' or 'robench submit pack' wrote."
            )
        if run.is_dir() and not _has_results(RunFolder(run)):
            raise UsageError(
                f"--runs {run}: the folder holds no results. Name one that 'robench evaluate "
                "--out' wrote; it has the folders 'records', 'trials' and 'victims'."
            )
    with ExitStack() as stack:
        archives: dict[Path, Path] = {}

        def unpacked(archive: Path, passed_over: list[str] | None = None) -> Path:
            place = stack.enter_context(TemporaryDirectory(prefix="robench-verify-"))
            root = unpack(archive, Path(place), passed_over)
            archives[root] = archive
            return root

        others = [RunFolder(run if run.is_dir() else unpacked(run)) for run in runs]
        passed: list[str] = []
        if name.is_dir():
            target = _run(str(name), name, others)
        elif name.suffix == ".toml":
            target = _board(name, others)
        elif is_archive(name):
            target = _run(str(name), unpacked(name, passed), others, lasting=False)
        else:
            raise _no_target(name)
        yield replace(target, passed_over=passed, archives=archives)


def _has_results(run: RunFolder) -> bool:
    return any(part.is_dir() for part in (run.records, run.trials, run.victims, run.shards))


def _no_target(name: Path) -> UsageError:
    return UsageError(
        f"'{name}' is no run. Name a folder that 'robench evaluate --out' wrote, a board's .toml "
        "file, or an archive of such a folder (.zip, .tar.gz, .tar.xz)."
    )


def _run(name: str, root: Path, others: list[RunFolder], *, lasting: bool = True) -> Target:
    folder = RunFolder(root)
    if not folder.records.is_dir():
        if root.name == "records" and RunFolder(root.parent).records.is_dir():
            return _run(name, root.parent, others, lasting=lasting)
        raise UsageError(
            f"'{name}' holds no folder 'records'. Name the folder that 'robench evaluate --out' "
            "wrote."
        )
    certificates = [folder.certificates]
    return Target(
        name, folder.records, certificates, [folder, *others], run=folder, lasting=lasting
    )


def _board(path: Path, others: list[RunFolder]) -> Target:
    board = load_board(path)
    folder = records_folder(path, board)
    if not folder.is_dir():
        raise UsageError(f"The board {path} has no records: there is no folder {folder}.")
    if not others:
        raise UsageError(
            "The records of a board have neither trials nor victims beside them. Name the folders "
            "that 'robench evaluate' wrote with --runs FOLDER."
        )
    return Target(str(path), folder, [folder / "certificates"], others, board=path)
