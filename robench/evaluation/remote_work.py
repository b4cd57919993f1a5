"""What a process of another machine does for a run: train a victim, or search against one.

Nothing here knows how the machines are connected. A victim travels as the bytes of its files. They
are data: a machine loads them as it loads any victim, and compares them with the hashes that the
run names. No code travels with them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError, first_line
from robench._base.files import make_folder, sync_tree
from robench._base.no_exit import as_failure, without_os_exit
from robench._base.reporting import Silent
from robench._base.waiting import Patience, alone

if TYPE_CHECKING:
    from robench.search.attack import Trial
    from robench.search.jobs import Job
    from robench.search.workers import WorkerPlan
    from robench.training.request import FitRequest

Files = Mapping[str, bytes]
"""Path inside a folder, with ``/`` between its parts -> content of the file."""


@dataclass(frozen=True)
class Problem:
    """Why a machine could not do its work, as a message to the run.

    Attributes:
        sentence: what to tell the user.
        changed: whether the attack changed the victim.
    """

    sentence: str
    changed: bool = False


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder.

    Raises:
        RobenchError: a file cannot be read.
    """
    try:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    except OSError as error:
        raise RobenchError(
            f"The victim in '{folder}' cannot be sent to other machines ({error.strerror})."
        ) from error


def digest_of_files(files: Files) -> str:
    """Return a SHA-256 (hex) over files and their names."""
    lines = [f"{name} {sha256(content).hexdigest()}" for name, content in sorted(files.items())]
    return sha256("\n".join(lines).encode()).hexdigest()


def victim_folder(source: Any) -> Path:
    """Return the folder of a victim on this machine.

    Args:
        source: a folder, a ``SavedFolder`` or a ``GivenSource``.

    Raises:
        RobenchError: it is a model of the hub that is not in the cache.
    """
    if isinstance(source, Path):
        return source
    if hasattr(source, "path"):
        return Path(source.path)
    location = str(source.location)
    if Path(location).is_dir():
        return Path(location)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(location, local_files_only=True))
    except Exception as error:
        raise RobenchError(
            f"The files of '{location}' are not in the cache of this machine "
            f"({first_line(error)}). Give the folder of the model with --victim."
        ) from error


def _moved(source: Any, folder: Path) -> Any:
    """Return the source of the same victim in another folder."""
    if isinstance(source, Path):
        return folder
    if hasattr(source, "path"):
        return replace(source, path=folder)
    return replace(source, location=str(folder))


def write_folder(files: Files, target: Path) -> None:
    """Write files into the folder ``target``, which appears whole or not at all.

    Raises:
        RobenchError: a name leads out of the folder, or the disk refuses.
    """
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name[:40]}-") as place:
        whole = Path(place) / "whole"
        for name, content in files.items():
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts or not pure.parts:
                raise RobenchError(f"A file of a victim has the name '{name}', which is refused.")
            path = whole / pure
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        sync_tree(whole)
        whole.rename(target)


def own_cache() -> Path:
    """Return a folder of this machine for victims of other machines, which only this user sees.

    Raises:
        RobenchError: somebody else has made it.
    """
    folder = Path(tempfile.gettempdir()) / f"robench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise RobenchError(
            f"'{folder}' may be written by others, so no victim is put there. Remove it."
        )
    return folder


def folder_here(files: Files, name: str) -> Path:
    """Return a folder of this machine with these files; it is written once for all processes.

    Args:
        files: content of the folder.
        name: names the content: the same name means the same files.
    """
    folder = own_cache() / name
    if not folder.exists():
        with alone(folder.with_suffix(".lock"), "", Patience(None, lambda _: None)):
            if not folder.exists():
                write_folder(files, folder)
    return folder


class Searcher:
    """The searches of one process against one victim, which is loaded once.

    Args:
        plan: what a worker process needs to know; its device is that of this process.
        files: the files of the victim.
        name: names the files (``folder_here``).
    """

    def __init__(self, plan: WorkerPlan, files: Files, name: str) -> None:
        self._plan, self._files, self._name = plan, files, name
        self._prepared: Any = None
        self._repeats: Any = None

    def load(self) -> Problem | None:
        """Load the victim and the attack; return why that failed."""
        from robench.search.pulse import Pulse
        from robench.search.worker_process import prepare, repeats_of

        try:
            with as_failure():
                self._prepared = prepare(self._placed(), Pulse())
                self._repeats = repeats_of(self._plan.attack)
        except RobenchError as error:
            return Problem(str(error))
        except Exception as error:
            name = type(error).__name__
            return Problem(f"A process of another machine cannot start ({name}: {error}).")
        return None

    def _placed(self) -> WorkerPlan:
        """Return the plan with the victim in a folder of this machine."""
        folder = folder_here(self._files, self._name)
        return replace(self._plan, victim=_moved(self._plan.victim, folder))

    def attack(self, jobs: Sequence[Job]) -> Iterator[Trial | Problem]:
        """Attack examples, and yield their trials as they end; a problem is the last item."""
        new_engine, _ = self._prepared
        wanted = list(jobs if self._repeats is None else self._repeats.jobs(jobs))
        try:
            with as_failure(), without_os_exit():
                for trial in new_engine().trials(iter([wanted])):
                    if self._repeats is not None:
                        self._repeats.note(trial)
                    yield trial
        except RobenchError as error:
            yield Problem(str(error))

    def finish(self) -> Problem | None:
        """Look whether the victim is still the same; attack some examples of a guest again."""
        from robench.search.unchanged import VictimChanged

        new_engine, unchanged = self._prepared
        try:
            with as_failure(), without_os_exit():
                unchanged.check(self._plan.attack)
                if self._repeats is not None:
                    self._repeats.check(lambda jobs: new_engine().trials(iter([jobs])))
        except RobenchError as error:
            return Problem(str(error), isinstance(error, VictimChanged))
        return None


def train_files(fit: FitRequest, key: str, title: str) -> dict[str, bytes] | Problem:
    """Train a victim on this machine, and return the files of its folder.

    Args:
        fit: the training, with a device of this machine.
        key: key of the training on the machine of the run. Another key here means other code.
        title: the victim, for the messages.
    """
    from robench.evaluation.training_guard import training_alone, with_own_data
    from robench.training.loop import train_or_load

    try:
        here = replace(fit)
        if here.key != key:
            return Problem(
                f"The machine that was to train {title} has another version of robench, of the "
                "encoder or of the data, so its victim would be another one. Install the same "
                "there."
            )
        with (
            tempfile.TemporaryDirectory(prefix="robench-") as folder,
            training_alone(title, Silent()),
        ):
            train_or_load(with_own_data(here), Path(folder))
            return files_of(Path(folder) / here.folder_name)
    except RobenchError as error:
        return Problem(str(error))
    except Exception as error:
        return Problem(f"The training of {title} failed ({first_line(error)}).")
