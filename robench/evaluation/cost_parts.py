"""The parts of a run as ``Work``, before they are done, and their lines in the log afterwards."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from robench._base.bounded_reading import Unreadable, read_json
from robench._base.embedded import embedded_path
from robench._base.environment import describe_device
from robench._base.errors import RobenchError
from robench.evaluation.cost_estimate import PublishedCount, estimate
from robench.evaluation.cost_log import Done, Work, cost_log
from robench.evaluation.resolved_victims import ResolvedVictim, SavedVictim, TrainedVictim
from robench.search.workers import devices_of
from robench.text.substitutions import SubstitutionSet

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved import ResolvedAttack, ResolvedTest
    from robench.protocol import Protocol
    from robench.search.attack import Trial
    from robench.text.surface import Surface

SAMPLE = 50
"""Number of examples from which the size of texts is estimated."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextSize:
    """Mean numbers of one example of a test set.

    Attributes:
        words: its words that a victim sees.
        positions: words that have substitutes.
        changes: substitutes of all its words.
    """

    words: float
    positions: float
    changes: float

    @classmethod
    def of_surface(cls, surface: Surface, max_words: int) -> TextSize:
        """Return the numbers of a surface."""
        meta, examples = surface.meta, max(1, surface.meta["examples"])
        return cls(
            min(meta["words"] / examples, max_words),
            meta["positions"] / examples,
            meta["substitutes"] / examples,
        )

    @classmethod
    def sampled(cls, test: ResolvedTest, name: str, field: str, protocol: Protocol) -> TextSize:
        """Return the numbers of the first examples of a test set.

        Where a model makes the substitutes, those of the task's own set are counted instead.

        Args:
            test: the test set.
            name: name of the substitution set; empty for the task's own.
            field: the field that is attacked.
            protocol: its ``lookup`` is used.
        """
        from robench.text.words import split_words

        named = test.source(name)
        source = named if isinstance(named, SubstitutionSet) else test.substitutions
        words = positions = changes = 0
        # The ids are hashes of the contents, so the first examples are a random sample.
        sample = test.examples[:SAMPLE]
        for example in sample:
            text = split_words(example.fields[field])
            found = source.of_text(text, protocol.lookup, test.max_words)
            words += min(len(text), test.max_words)
            positions += len(found)
            changes += sum(map(len, found.values()))
        count = max(1, len(sample))
        return cls(words / count, positions / count, changes / count)


def training_work(victim: TrainedVictim) -> Work:
    """Return a training before it begins."""
    fit = victim.fit
    options, train = fit.resolved, fit.splits.train
    examples = min(len(train), options.train_examples or len(train))
    texts = [" ".join(each.fields.values()).split() for each in train[:SAMPLE]]
    window = fit.task_class.max_tokens
    return Work(
        kind="training",
        device=describe_device(fit.device),
        model=fit.encoder_label,
        precision=fit.precision,
        what=_without_size(victim.label),
        data=fit.task,
        units=examples * options.epochs,
        words=sum(min(len(text), window) for text in texts) / max(1, len(texts)),
    )


_SIZES = ("train_examples", "epochs")


def _without_size(label: str) -> str:
    """Return the label of a defense without the options that stand in ``Work.units``."""
    name, _, inside = label.removesuffix(")").partition("(")
    kept = [each for each in inside.split(", ") if each and each.partition("=")[0] not in _SIZES]
    return f"{name}({', '.join(kept)})" if kept else name


def surface_work(test: ResolvedTest, name: str, scorer: str, device: str, size: TextSize) -> Work:
    """Return a surface before it is built; ``scorer`` is the language model's identity."""
    return Work(
        kind="surface",
        device=describe_device(device),
        model=scorer,
        what=name,
        data=test.title,
        units=len(test.examples),
        words=size.words,
        positions=size.positions,
        changes=size.changes,
    )


def attack_work(
    request: EvaluationRequest,
    victim: ResolvedVictim,
    test: ResolvedTest,
    attack: ResolvedAttack,
    examples: int,
    size: TextSize,
) -> Work:
    """Return the attack of a cell on a number of examples, before it begins."""
    choices = {
        "budget": request.budget,
        "workers": request.workers,
        "backend": request.backend,
        "unknown": request.unknown,
        "lm": request.lm if attack.constrained else "none",
    }
    if (gpus := len(devices_of(victim.device))) > 1:
        choices["gpus"] = gpus
    if request.share_device is not None:
        choices["share_device"] = request.share_device
    return Work(
        kind="attack",
        device=describe_device(victim.device),
        model=_model_of(victim),
        precision=request.search_precision,
        what=attack.label,
        row=victim.label,
        data=test.title,
        settings=", ".join(f"{name}={value}" for name, value in choices.items()),
        units=examples,
        words=size.words,
        positions=size.positions,
        changes=size.changes,
    )


def _model_of(victim: ResolvedVictim) -> str:
    if isinstance(victim, TrainedVictim):
        return victim.fit.encoder_label
    return str(victim.card["encoder"]) if isinstance(victim, SavedVictim) else victim.label


@cache
def published_counts() -> Mapping[str, Sequence[PublishedCount]]:
    """Return name of an attack -> its queries in the records of robench's boards."""
    try:
        found: dict[str, Any] = read_json(embedded_path("query_counts.json"))
        return {
            attack: [
                PublishedCount(
                    each["task"],
                    tuple(each["asked"]),
                    tuple(each["forwarded"]),
                    each["changes"],
                    each["records"],
                )
                for each in tasks
            ]
            for attack, tasks in found["attacks"].items()
        }
    except (Unreadable, KeyError, TypeError, AttributeError):
        # A broken installation has no estimates, and still runs.
        return {}


def note_attack(
    work: Work, trials: Sequence[Trial], seconds: float, budget: int | None = None
) -> None:
    """Log the attack of a cell, or what was left of it.

    Args:
        work: the attack on the examples of ``trials``.
        trials: the trials that this run made.
        seconds: wall-clock seconds of the search.
        budget: most queries for one example.
    """
    if trials:
        asked = sum(trial.asked for trial in trials)
        _note(work, seconds, asked, sum(trial.forwarded for trial in trials), budget)


def note_training(victim: ResolvedVictim, seconds: float | None) -> None:
    """Log the training of a victim that is done; ``seconds`` is None where they are not known."""
    if isinstance(victim, TrainedVictim) and seconds is not None:
        _note(training_work(victim), seconds)


def note_surface(
    test: ResolvedTest, name: str, scorer: str, device: str, surface: Surface, seconds: float
) -> None:
    """Log a surface that was built."""
    size = TextSize.of_surface(surface, test.max_words)
    _note(surface_work(test, name, scorer, device, size), seconds)


def _note(
    work: Work,
    seconds: float,
    asked: int | None = None,
    forwarded: int | None = None,
    budget: int | None = None,
) -> None:
    """Log a part with the estimate that was possible before it; never raise."""
    try:
        log = cost_log()
        before = estimate(work, log.read(), published_counts(), budget).seconds
        expected = None if before is None else (before.low, before.likely, before.high)
        log.add(
            Done(
                work=work,
                seconds=round(seconds, 3),
                asked=asked,
                forwarded=forwarded,
                expected=expected,
                when=datetime.now(UTC).replace(microsecond=0),
            )
        )
    except (RobenchError, OSError, ValueError) as error:
        # A log of times must never end a run of hours.
        logger.warning("How long this part took is not kept for estimates: %s", error)
