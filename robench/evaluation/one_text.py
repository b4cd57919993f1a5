"""Attack texts of the user, one by one and without a run's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import UsageError
from robench._base.no_exit import without_exits
from robench._base.reporting import Reporter, Silent
from robench.evaluation import defaults
from robench.evaluation.resolved import ResolvedAttack
from robench.evaluation.substitution_sources import HELD_OUT, SetFinder
from robench.evaluation.time_limit import check_seconds, time_limit
from robench.plugins.names import ON, split_on
from robench.protocol import Protocol, Unknown
from robench.records.test_set import TestSet
from robench.records.trial_texts import Origin, TrialText, join
from robench.search.settings import SearchSettings
from robench.tasks.example import Example
from robench.tasks.frozen import digest
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim
    from robench.search.attack import Trial
    from robench.text.scorer import Scorer
    from robench.text.sources import SubstituteSource

TASK = "text"
"""Name of the task of texts that belong to none."""


@dataclass(frozen=True)
class TextAttack:
    """How texts are attacked.

    Attributes:
        attack: the attack with its options.
        substitutions: which words may replace which.
        protocol: the evaluation choices; a robench victim needs its own.
        scorer: language model of the constraint, or None for no constraint.
        settings: seed, budget, precision and device of the searches.
    """

    attack: ResolvedAttack
    substitutions: SubstituteSource
    protocol: Protocol
    scorer: Scorer | None
    settings: SearchSettings = field(default_factory=SearchSettings)


def text_attack(
    name: str,
    victim: JudgedVictim,
    protocol: Protocol,
    *,
    options: Mapping[str, Any],
    own: str,
    held_out: str,
    substitutions: str | None,
    lm: str,
    data: Path | None,
    budget: int | None,
    seed: int,
    unknown: Unknown = "allowed",
    foreign_code: bool = False,
    example_seconds: float | None = None,
) -> TextAttack:
    """Return how texts are attacked, from names.

    Args:
        name: registered name of the attack, and perhaps a substitution set: ``"pwws@wordnet"``.
        victim: the classifier.
        protocol: the evaluation choices.
        options: options of the attack.
        own: name or path of the substitution set of the victim's task.
        held_out: name of the held-out set of that task.
        substitutions: the set that the user names instead of ``own``, or None.
        lm: language model of the constraint, as ``--lm`` takes it.
        data: folder with the published substitution set, or None.
        budget: queries of a text, or None for no limit.
        seed: seed of the searches.
        unknown: as ``--unknown``; ``protocol`` may say it as well.
        foreign_code: whether code of the folders of models may run.
        example_seconds: own seconds after which a search is ended as an error; 0 sets no limit,
            and None limits the attacks of other packages only.

    Raises:
        UsageError: a name, an option or a file is wrong or missing.
    """
    from robench.evaluation.resolve import check_set_of, resolve_attack
    from robench.search.registry import ATTACKS
    from robench.text.language_model import build_scorer
    from robench.text.substitutions import load_substitutions

    check_set_of(name)
    check_seconds(example_seconds)
    protocol = _with_choices(protocol, unknown, victim)
    attack = resolve_attack(name, ATTACKS.get(split_on(name)[0]), options, protocol)
    names = _names_of_sets(attack, victim, own, substitutions)
    sets = [load_substitutions(each, data) for each in names]
    encoder = getattr(victim, "card", {}).get("encoder", defaults.ENCODER)
    finder = SetFinder(data, encoder, lm, victim.device, foreign_code)
    words = finder.find(attack.substitutions, held_out, sets)
    scorer = None
    if attack.constrained:
        radius = protocol.lm_radius
        scorer = build_scorer(lm, victim.device, radius, foreign_code=foreign_code)
    settings = SearchSettings(
        seed=seed,
        budget=budget,
        device=victim.device,
        example_seconds=time_limit(example_seconds, attack),
    )
    return TextAttack(attack, words, protocol, scorer, settings)


def _names_of_sets(
    attack: ResolvedAttack, victim: JudgedVictim, own: str, substitutions: str | None
) -> list[str]:
    """Return the sets whose files are needed: what is searched, and what is held out from it."""
    wanted = attack.substitutions
    if wanted not in ("", HELD_OUT):
        if substitutions is not None:
            raise UsageError(
                f"The substitutions are named twice: '{substitutions}', and '{wanted}' by the "
                f"attack. Name them after the attack only, such as {attack.registered}{ON}{wanted}."
            )
        # Another set needs no file of the task's own.
        return []
    names = [substitutions or own]
    # What the victim was trained with is never held out, whatever set the user names.
    if wanted == HELD_OUT and getattr(victim, "card", {}).get("substitutions") == own:
        names.append(own)
    return list(dict.fromkeys(names))


def _with_choices(protocol: Protocol, unknown: Unknown, victim: JudgedVictim) -> Protocol:
    """Return the protocol with the choice of unknown words, or refuse what single texts lack."""
    from robench.models.given.function import FunctionVictim

    if protocol.temperature != "none":
        raise UsageError(
            f"Protocol '{protocol.name}': a temperature is fitted on the dev examples of a task, "
            "and single texts have none. Leave 'temperature' out, or use 'robench evaluate'."
        )
    forbidden = "forbidden" in (unknown, protocol.unknown)
    if forbidden and isinstance(victim, FunctionVictim):
        raise UsageError(
            "--unknown forbidden removes the words that a victim's tokenizer does not know, and "
            f"the function '{victim.name}' does not say which words it knows. Leave it out."
        )
    return protocol.base.choosing("forbidden") if forbidden else protocol


@without_exits()
def attack_texts(
    victim: JudgedVictim,
    texts: Sequence[Mapping[str, str]],
    how: TextAttack,
    *,
    labels: Sequence[int | None] | None = None,
    report: Reporter | None = None,
) -> list[TrialText]:
    """Attack texts, and return one result for each, in their order.

    The searches and the verdicts are those of an evaluation. A result depends on its text, its
    label and ``how``, and not on the other texts.

    Args:
        victim: the classifier.
        texts: all fields of each text, by name.
        how: the attack.
        labels: true label of each text, an index into ``victim.labels``. None takes the victim's
            own prediction, for one text or for all of them.
        report: receives remarks.

    Raises:
        UsageError: a text is empty, or the attack needs what the victim does not give.
    """
    check_texts(texts)
    examples = _examples(victim, texts, labels)
    unique = list({example.id: example for example in examples}.values())
    trials = {trial.id: trial for trial in _search(victim, unique, how, report or Silent())}
    test_set = TestSet(
        victim.task or TASK, digest(unique), victim.labels, victim.attackable, unique
    )
    origin = Origin(test_set.task, victim.name, how.attack.label, how.settings.seed)
    return [join(trials[each.id], test_set, origin, "this run") for each in examples]


def check_texts(texts: Sequence[Mapping[str, str]]) -> None:
    """Refuse texts that have nothing to read.

    Raises:
        UsageError: a field is empty, or cannot be written as UTF-8.
    """
    for number, fields in enumerate(texts, start=1):
        which = f"Text {number}" if len(texts) > 1 else "The text"
        for name, text in fields.items():
            part = f", field '{name}'," if len(fields) > 1 else ""
            if not text.strip():
                raise UsageError(f"{which}{part} is empty. Give at least one word.")
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise UsageError(
                    f"{which}{part} holds half of a character (a lone surrogate). Remove it."
                ) from error


def _examples(
    victim: JudgedVictim,
    texts: Sequence[Mapping[str, str]],
    labels: Sequence[int | None] | None,
) -> list[Example]:
    wanted = list(labels) if labels is not None else [None] * len(texts)
    unknown = [fields for fields, label in zip(texts, wanted, strict=True) if label is None]
    predicted = iter(victim.predict(unknown).tolist() if unknown else ())
    examples = []
    for fields, label in zip(texts, wanted, strict=True):
        true = int(next(predicted)) if label is None else label
        content = json.dumps([true, dict(fields)], sort_keys=True)
        name = hashlib.sha256(content.encode()).hexdigest()[:16]
        examples.append(Example(f"{TASK}/{name}", dict(fields), true))
    return examples


def _search(
    victim: JudgedVictim, examples: Sequence[Example], how: TextAttack, report: Reporter
) -> list[Trial]:
    from robench.search.engine import run
    from robench.search.jobs import make_jobs
    from robench.search.packing import choose_shapes
    from robench.text.surface_building import SurfaceRequest, build_surface

    # A function reads every word. What a model does not see is left alone by its jobs.
    longest = max(len(split_words(each.fields[victim.attackable])) for each in examples)
    surface = build_surface(
        SurfaceRequest(
            examples=examples,
            attackable=victim.attackable,
            task=victim.task or TASK,
            digest=digest(examples),
            substitutions=how.substitutions,
            protocol=how.protocol,
            scorer=how.scorer if how.attack.constrained else None,
            max_words=longest,
        )
    )
    forbidden = how.protocol.unknown == "forbidden"
    removed = victim.encoder_fields.unknown_words(surface.vocabulary) if forbidden else None
    jobs = make_jobs(
        examples,
        surface,
        victim,
        constrained=how.attack.constrained,
        threshold=how.protocol.lm_threshold,
        without=removed or frozenset(),
    )
    shapes, remark = choose_shapes(victim, how.settings.precision, victim.vocabulary)
    if remark is not None:
        report.message(remark)
    attack = how.attack
    return list(run(victim, attack.attack, attack.registered, jobs, how.settings, shapes=shapes))
