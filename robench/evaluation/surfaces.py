"""The surfaces of a run: read from its folder, or built there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from robench._base.environment import available_cores
from robench._base.reporting import Reporter
from robench._base.waiting import Patience, alone
from robench.evaluation.cost_parts import note_surface
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolved import ResolvedRequest, ResolvedTask, ResolvedTest
from robench.evaluation.unattackable import count_unattackable, unattackable_remark
from robench.evaluation.unknown_words import remark_before_training
from robench.records.run_folder import RunFolder
from robench.records.scores_part import ScoresPart

if TYPE_CHECKING:
    from robench.text.scorer import Scorer
    from robench.text.surface import Surface
    from robench.text.surface_building import SurfaceRequest


def load_or_build_surfaces(
    request: EvaluationRequest,
    resolved: ResolvedRequest,
    task: ResolvedTask,
    test: ResolvedTest,
    report: Reporter,
) -> dict[str, Surface]:
    """Return the surfaces of a test set: name of the substitution set -> surface."""
    surfaces = {
        name: _load_or_build_surface(request, resolved, task, test, name, report)
        for name in resolved.sets
    }
    if resolved.scorer is None:
        report.message(
            "There is no language model (--lm none): no attack is constrained, and every record "
            "says so."
        )
    return surfaces


def _load_or_build_surface(
    request: EvaluationRequest,
    resolved: ResolvedRequest,
    task: ResolvedTask,
    test: ResolvedTest,
    name: str,
    report: Reporter,
) -> Surface:
    from robench.text.surface_building import load_or_build

    title = f"{test.title}, substitutions {test.source(name).name}" if name else test.title
    report.started("surface", title, len(test.examples))
    folder, wanted = RunFolder(request.out).surfaces, resolved.surface_request(task, test, name)
    with _building_alone(wanted.path(folder), request.patience(report)):
        builds, started = not wanted.path(folder).exists(), monotonic()
        with _scored_by_several(request, resolved, wanted, needed=builds) as scored:
            surface = load_or_build(
                folder, scored, lambda done, total: report.advanced(done, total, "")
            )
    if builds:
        scorer = wanted.ingredients["scorer"]
        note_surface(test, name, scorer, resolved.device, surface, monotonic() - started)
    meta = surface.meta
    report.finished(
        f"{meta['substitutes']:,} substitutes at {meta['positions']:,} of {meta['words']:,} words"
    )
    if meta["scores"] is not None:
        report.message(ScoresPart(**meta["scores"]).sentence)
    _tell_unattackable(resolved, test, name, surface, report)
    remark = remark_before_training(
        task,
        test,
        surface,
        resolved.protocol.lm_threshold,
        removed=request.unknown == "forbidden",
    )
    if remark is not None:
        report.message(remark)
    return surface


def _scored_by_several(
    request: EvaluationRequest, resolved: ResolvedRequest, wanted: SurfaceRequest, *, needed: bool
) -> AbstractContextManager[SurfaceRequest]:
    """Score the texts of a surface in several processes, where that is worth their start."""
    from robench.text.early_places import read_places_early
    from robench.text.language_model import build_scorer
    from robench.text.scoring_processes import scoring_in_processes, worthwhile

    if not needed or wanted.scorer is None:
        return nullcontext(wanted)
    read_places_early(wanted.scorer)
    most = min(request.workers or available_cores(), available_cores(), _room(wanted.scorer))
    number = worthwhile(wanted, most)
    # A file of scores only looks them up, and a GPU is not faster for several processes. Where all
    # victims are functions, a process would run the user's script a second time.
    here = resolved.device != "cpu" or request.lm.startswith("file:")
    if here or number < 2 or not (request.defenses or request.victims):
        return nullcontext(wanted)
    build = partial(
        build_scorer,
        request.lm,
        resolved.device,
        resolved.protocol.lm_radius,
        foreign_code=request.trust_remote_code,
    )
    return scoring_in_processes(wanted, build, number)


def _room(scorer: Scorer) -> int:
    """Return how many copies of a language model, this process's included, have memory."""
    from robench.search.workers import room_for

    model = getattr(scorer, "model", None)
    weights = sum(each.nbytes for each in model.parameters()) if model is not None else 0
    return 1 + room_for(weights)


def _building_alone(path: Path, patience: Patience | None) -> AbstractContextManager[bool]:
    """Let one run build a surface while others wait for it.

    A run that does not wait builds the surface as well: both get the same file.
    """
    if patience is None or path.exists():
        return nullcontext(False)
    return alone(
        path.with_suffix(".lock"), f"Another run is building the surface '{path}'.", patience
    )


def _tell_unattackable(
    resolved: ResolvedRequest, test: ResolvedTest, name: str, surface: Surface, report: Reporter
) -> None:
    """Say how many examples the attacks on one substitution set cannot change."""
    inside = [
        attack
        for attack in resolved.attacks
        if attack.substitutions == name and not attack.attack.outside
    ]
    if not inside:
        return

    def number(constrained: bool) -> int:
        threshold = resolved.protocol.lm_threshold
        return count_unattackable(
            surface, test.examples, constrained=constrained, threshold=threshold
        )

    limited = resolved.scorer is not None and any(attack.constrained for attack in inside)
    remark = unattackable_remark(
        number(False), number(True) if limited else None, len(test.examples)
    )
    if remark is not None:
        report.message(remark)
