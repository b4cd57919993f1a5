"""One cell of the grid: its key, and the attack on the examples that have no trial yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import robench
from robench._base import arithmetic
from robench._base.code_hash import source_sha256
from robench._base.environment import versions
from robench._base.key_code import TRIAL_CODE, TRIAL_SOFTWARE
from robench.evaluation.time_limit import time_limit
from robench.records.run_folder import cell_name

if TYPE_CHECKING:
    from robench.evaluation.backend import Backend
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved import ResolvedAttack, ResolvedTest
    from robench.evaluation.resolved_victims import ResolvedVictim
    from robench.evaluation.unknown_words import UnknownWords
    from robench.evaluation.victims import ReadyVictim
    from robench.protocol import Protocol
    from robench.tasks.example import Example
    from robench.text.surface import Surface


def cell_key(
    request: EvaluationRequest,
    victim: ResolvedVictim,
    identity: str,
    attack: ResolvedAttack,
    made_from: Mapping[str, Any],
    calibration: str | None = None,
    *,
    device: str | None = None,
    products: str | None = None,
) -> str:
    """Return the SHA-256 (hex) of everything that decides a trial, apart from the example.

    ``--limit`` is not part of the key, so a longer run reuses the trials of a shorter one. The
    kind of device and the versions of ``TRIAL_SOFTWARE`` are part of it, because they change
    low-order bits.

    Args:
        request: the evaluation.
        victim: the victim, with the seed and the device of the search.
        identity: hash of everything that decides the victim's answers (``Obtained.identity``).
        attack: the attack with its options.
        made_from: everything that decides the surface (``Surface.meta["made_from"]``). Its
            digest of the attacked texts is left out, because it depends on the limit.
        calibration: digest of the examples that the victim's temperature is fitted on, or None.
            With the victim and the code it decides the temperature.
        device: kind of the device of another machine; None takes that of the victim.
        products: setting of its matrix products; None takes that of this process.
    """
    all_versions = versions()
    parts = {
        "robench": robench.__version__,
        "victim": identity,
        "configuration": victim.key,
        "attack": attack.name,
        "options": attack.options,
        "code": {"attack": attack.code_sha256, "search": source_sha256(*TRIAL_CODE)},
        "surface": {name: value for name, value in made_from.items() if name != "texts"},
        "constrained": attack.constrained,
        "seed": victim.seed,
        "budget": request.budget,
        "choices": {"unknown": request.unknown, "temperature": request.temperature},
        "calibration": calibration,
        "precision": request.search_precision,
        "device": device or victim.device.partition(":")[0],
        "arithmetic": products or arithmetic.products(),
        "software": {
            name: version for name, version in all_versions.items() if name in TRIAL_SOFTWARE
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


@dataclass(frozen=True)
class Cell:
    """One victim under one attack, with everything that the search and record need.

    Attributes:
        request: the evaluation.
        test: the test set with its examples.
        victim: the victim that is attacked.
        attack: the attack with its options.
        surface: the surface of the test set, with the attack's substitution set.
        own_surface: key of the surface with the task's own substitution set.
        language_model: identity of the scorer, or ``"none"``.
        unknown: what the victim does not know of the surface.
        backend: where the searches are done; None for this machine.
    """

    request: EvaluationRequest
    test: ResolvedTest
    victim: ReadyVictim
    attack: ResolvedAttack
    surface: Surface
    own_surface: str
    language_model: str
    unknown: UnknownWords
    backend: Backend | None = None

    @property
    def resolved(self) -> ResolvedVictim:
        """What the request says about the victim."""
        return self.victim.resolved

    @cached_property
    def protocol(self) -> Protocol:
        """The evaluation choices: those of the victim's protocol, and those of the run."""
        return self.request.judged_by(self.resolved.protocol)

    @property
    def removed(self) -> frozenset[str]:
        """The substitutes that the protocol takes from this victim."""
        unknown = self.unknown.words if self.protocol.unknown == "forbidden" else None
        return unknown or frozenset()

    @cached_property
    def key(self) -> str:
        """Key of the cell (``cell_key``)."""
        return cell_key(
            self.request,
            self.resolved,
            self.victim.obtained.identity,
            self.attack,
            self.surface.meta["made_from"],
            self.victim.calibration,
        )

    @property
    def name(self) -> str:
        """Name of the cell in file names."""
        return cell_name(
            self.test.file_part,
            self.resolved.row_name,
            self.attack.name,
            self.resolved.seed,
            self.key,
        )

    @property
    def examples(self) -> Sequence[Example]:
        """The examples that this run attacks: those of its shard."""
        return self.request.share(self.test.examples)

    @property
    def example_seconds(self) -> float | None:
        """Time limit of an example; None for no limit."""
        return time_limit(self.request.example_seconds, self.attack)

    @property
    def title(self) -> str:
        """Name of the cell for people."""
        victim, texts = self.resolved, self.test.other or self.test.task
        return f"{victim.label} with {self.attack.label} on {texts}, seed {victim.seed}"
