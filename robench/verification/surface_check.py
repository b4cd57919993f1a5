"""Build the surface of a record again, and compare it with the stored one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Final

from robench.search.attack import Trial, Verdict
from robench.verification.settings import VerificationSettings
from robench.verification.surfaces import StoredSurface, differing, key_problems, other_ingredients
from robench.verification.victims import NotThere
from robench.verification.work import SURFACE, Work
from robench.verification.workshop import Bench

if TYPE_CHECKING:
    from robench.text.surface import Surface

PARTLY: Final = (
    "The surface was built again for a part of the examples. The counts 'surface.unattackable' and "
    "'unknown' of the others were compared with the stored surface only. --sample 1 builds it for "
    "all."
)
"""Note on a surface that was not built again as a whole."""


class _OtherSurface(NotThere):
    """The stored surface is not there, and a new one has another key."""

    def __init__(self, surface: Surface, stored: StoredSurface | None) -> None:
        why = "is not there" if stored is None else f"cannot be used: {stored.problem}"
        super().__init__(
            f"its surface {why}, and one that is built here has another key. The code, the words "
            "or the window may differ"
        )
        self.surface = surface


def check_surface(
    work: Work, bench: Bench, trials: Iterable[Trial], settings: VerificationSettings
) -> None:
    """Build the surface of the examples that are asked or attacked and of a share of the others.

    The counts of a record are those of all examples. A stored surface can be forged where nothing
    is attacked, so no example is safe from being chosen.
    """
    needed = {each.id for each in trials if each.changes or each.verdict == Verdict.HELD_PROVED}
    needed |= {*work.chosen, *work.errors}
    judged = [each.id for each in bench.test.examples]
    ids = needed | _share(judged, needed, settings, work.record.cell)
    with work.check(SURFACE) as problems:
        try:
            work.new, work.full, found = _surfaces(bench, frozenset(ids))
        except _OtherSurface as error:
            work.new = work.full = error.surface
            raise
        problems += found
    if bench.stored is not None and bench.stored.problem and work.new is not None:
        work.note(
            f"{bench.stored.problem}. A new one was built and used instead; 'robench evaluate' "
            "replaces the file."
        )
    if work.new is not None and any(each not in work.new for each in judged):
        work.note(PARTLY)


def _share(
    judged: Iterable[str], needed: Collection[str], settings: VerificationSettings, cell: str
) -> set[str]:
    """Return the ids of a random share of the examples whose surface nothing else needs."""
    others = sorted(each for each in judged if each not in needed)
    draw = Random(f"{settings.seed} {cell} surface")
    return set(draw.sample(others, ceil(settings.sample * len(others))))


def _surfaces(bench: Bench, ids: frozenset[str]) -> tuple[Surface, Surface, list[str]]:
    """Return the new surface, that of all examples, and what is wrong with the stored one."""
    from robench.text.surface_building import build_surface

    stored, record = bench.stored, bench.record
    request = bench.surface_request()
    if stored is None or not stored.made_from:
        whole = build_surface(request)
        if request.key != record.surface.key:
            raise _OtherSurface(whole, stored)
        return whole, whole, []
    problems = key_problems(stored, record.surface.key)
    problems += other_ingredients(stored, request.ingredients)
    if stored.surface is None:
        whole = build_surface(request)
        return whole, whole, problems
    new = build_surface(bench.surface_request(ids))
    threshold = record.protocol.lm_threshold
    other = differing(new, stored.surface, sorted(ids), threshold)
    if other and stored.same_code:
        problems.append(
            f"the stored surface allows other words than a new one in {len(other)} of "
            f"{len(ids)} examples, the first is {other[0]}"
        )
    elif other:
        raise NotThere(
            f"other code made the surface, and a new one allows other words in {len(other)} "
            f"of {len(ids)} examples, the first is {other[0]}"
        )
    return new, stored.surface, problems
