"""``robench.evaluate``: an evaluation in one call, for scripts and notebooks."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from robench._base.errors import UsageError
from robench._base.escaping import NAME, TEXT, one_line
from robench._base.progress_bars import bars_or_lines
from robench._base.reporting import Reporter, Silent
from robench.evaluation.arguments import labels_of_function, name_of_function, texts_of
from robench.evaluation.request import EvaluationRequest, build_request

if TYPE_CHECKING:
    from robench.models.given.answers import Predict
    from robench.models.given.function import FunctionVictim
    from robench.records.frames import Results
    from robench.records.record import Record
    from robench.sharing.loaded import LoadedVictim

Location = str | Path
Victim: TypeAlias = "Location | LoadedVictim"
WARNING = "Warning: "
"""Begins the sentences of a run about something suspicious."""


def evaluate(
    victim: Predict | Victim | Sequence[Victim] | None = None,
    *,
    task: Location | Sequence[Location] = "mini-reviews",
    attacks: str | Sequence[str] = "pwws",
    defenses: str | Sequence[str] = (),
    labels: Sequence[str] | None = None,
    name: str | Sequence[str] | None = None,
    identity: str | None = None,
    draws: int = 1,
    options: Mapping[str, Any] | None = None,
    out: Location | None = None,
    progress: bool | Reporter = True,
    **settings: Any,
) -> Results:
    """Attack victims on a task, and return the results as data frames.

    At least one of ``victim`` and ``defenses`` is needed. Every argument without a description
    here is that of ``robench evaluate``, and has the same meaning.

    Args:
        victim: what is attacked as it is. A function takes a list of texts, or of pairs of texts,
            and returns probabilities ``(texts, classes)``. A path or hub id names a model with a
            classification head, or a victim that robench saved. What ``robench.load_victim``
            returned is loaded again from where it lies, on its device unless ``device`` is given.
        task: names of tasks, or files such as ``"reviews.csv"``.
        attacks: names of attacks, also on another substitution set: ``"pwws@held-out"``.
        defenses: names of defenses. robench trains a victim with each.
        labels: names of a function's classes, in the order of its probabilities.
        name: name of the victim in tables; one for each victim.
        identity: text that changes whenever a function's answers may change, such as a version.
            Without it, no later run uses the trials of a function.
        draws: for a function that gives a text another answer each time: its answer is the mean
            over so many calls. Without it, a random function is refused.
        options: options of plugins, such as ``{"defense.epochs": 2, "pwws.score": "logit"}``.
        out: folder of the results. None keeps them only as long as the returned object.
        progress: True draws bars on stderr, or prints lines where it is no terminal and no
            notebook. False shows nothing but warnings. A ``Reporter`` receives the progress.
        settings: further attributes of ``robench.evaluation.request.EvaluationRequest``, such as
            ``limit=100``, ``seeds=(0, 1)``, ``encoder="bert-base-uncased"`` or
            ``text_column="review"``.

    Returns:
        The results of this call. ``robench.results(out)`` has those of earlier calls as well.

    Raises:
        UsageError: an argument is wrong, or a worker process calls this while it imports the
            program. Nothing was trained.
        RobenchError: a part of the run failed; what was finished is in ``out``.
    """
    _not_in_the_import_of_a_worker()
    from robench.evaluation.run import evaluate as run
    from robench.records.frames import Results
    from robench.records.record_files import RecordsOnDisk
    from robench.sharing.loaded import LoadedVictim

    function, locations = _split(victim, labels, name, identity, draws)
    if isinstance(victim, LoadedVictim):
        settings.setdefault("device", victim.victim.device)
    folder = Path(tempfile.mkdtemp(prefix="robench-") if out is None else str(out))
    request = _request(
        settings,
        victims=locations,
        names=() if function is not None else texts_of("name", name or ()),
        tasks=texts_of("task", task),
        attacks=texts_of("attacks", attacks),
        defenses=texts_of("defenses", defenses),
        options={key: _option(value) for key, value in (options or {}).items()},
        out=folder,
    )
    functions = _functions(function, labels, name, identity, request, draws)
    with _reporter(progress) as report:
        records = run(request, report, functions=functions)
    _warn_of_errors(records, folder)
    named = sorted((record.file_name, record) for record in records)
    found = Results(folder, RecordsOnDisk(dict(named), {}))
    if out is None:
        # The trials are read on first use, so the folder must live as long as the results.
        weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def _not_in_the_import_of_a_worker() -> None:
    """Refuse a call that a worker process makes because it imports the program."""
    if getattr(current_process(), "_inheriting", False):
        raise UsageError(
            "A worker process imports the program that started it, and this one calls "
            'robench.evaluate while it is imported. Put the call under "if __name__ == '
            "'__main__':\", or give workers=1."
        )


def _option(value: Any) -> str:
    """Return the value of an option as it stands on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split(
    victim: Any,
    labels: Sequence[str] | None,
    name: str | Sequence[str] | None,
    identity: str | None,
    draws: int,
) -> tuple[Predict | None, tuple[str, ...]]:
    """Return the victim if it is a function, and the locations of victims that are none."""
    if not callable(victim):
        if labels is not None or identity is not None:
            raise UsageError(
                "'labels' and 'identity' describe a function, and 'victim' is none. Leave them "
                "out; 'label_map' translates the labels of a model."
            )
        if draws != 1:
            raise UsageError(
                "'draws' repeats the calls of a function, and 'victim' is none. Leave it out. The "
                "draws of a defense are an option of its own, such as {'ranmask.draws': 100}."
            )
        return None, () if victim is None else _locations(victim)
    labels_of_function(labels)
    if name is not None and not isinstance(name, str):
        raise UsageError(f"One function has one name, and {len(name)} were given.")
    return victim, ()


def _locations(victim: Any) -> tuple[str, ...]:
    """Return the locations of victims that are no functions."""
    from robench.sharing.loaded import LoadedVictim

    each = [victim] if isinstance(victim, str | Path | LoadedVictim) else victim
    if not isinstance(each, Iterable):
        raise UsageError(
            f"'victim' is {type(victim).__name__}. Give a function, a folder, a hub id, what "
            "robench.load_victim returned, or a list of these without functions."
        )
    found = []
    for one in each:
        location = one.location if isinstance(one, LoadedVictim) else one
        if not isinstance(location, str | Path):
            raise UsageError(
                f"Nobody knows where the victim {one!r} lies, so it cannot be loaded again. Pass "
                "its folder or its hub id."
            )
        found.append(str(location))
    return tuple(found)


def _functions(
    function: Predict | None,
    labels: Sequence[str] | None,
    name: str | Sequence[str] | None,
    identity: str | None,
    request: EvaluationRequest,
    draws: int,
) -> list[FunctionVictim]:
    """Return the function as victims; none without a function."""
    if function is None:
        return []
    from robench.evaluation.functions import function_victims

    own = str(name or name_of_function(function))
    classes = labels_of_function(labels)
    return function_victims(function, classes, own, identity, request, draws)


def _request(settings: Mapping[str, Any], **own: Any) -> EvaluationRequest:
    """Return the request, and refuse settings that this function has itself."""
    fields = EvaluationRequest.model_fields
    for key in settings:
        if key in own or key not in fields:
            from robench._base.hints import did_you_mean

            arguments = {*signature(evaluate).parameters} - {"settings"}
            known = sorted(arguments | ({*fields} - {*own}))
            raise UsageError(f"robench.evaluate has no argument '{key}'.{did_you_mean(key, known)}")
    return build_request(**own, **settings)


def _reporter(progress: bool | Reporter) -> Any:
    """Return a context manager that gives the reporter."""
    from contextlib import nullcontext

    if progress is True:
        return bars_or_lines()
    return nullcontext(_OnlyWarnings() if progress is False else progress)


class _OnlyWarnings(Silent):
    """A reporter that shows nothing but warnings, as warnings of Python."""

    def message(self, text: str) -> None:
        """Warn, if the sentence is a warning."""
        if text.startswith(WARNING):
            warnings.warn(one_line(text.removeprefix(WARNING), TEXT), stacklevel=2)


def _warn_of_errors(records: Sequence[Record], folder: Path) -> None:
    """Warn of examples that ended in an error, because their cells have no numbers."""
    from robench.records.run_folder import RunFolder
    from robench.search.trials import TrialFile

    for record in records:
        if not record.counts.error:
            continue
        path = RunFolder(folder).trials_file(record.cell_name)
        trials = TrialFile(path, cell=record.cell).read()
        first = next((trial.problem for trial in trials if trial.verdict == "error"), "")
        warnings.warn(
            f"{record.counts.error} of {record.counts.n} examples of {one_line(record.row, NAME)} "
            f"under {one_line(record.attack.label, NAME)} ended in an error, so the cell has no "
            f"numbers. The first: {one_line(first)}",
            stacklevel=3,
        )
