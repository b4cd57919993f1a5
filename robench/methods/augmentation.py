"""Adversarial texts to be trained on: the model under training is attacked, and the texts that fool it are added with the labels of their originals.

The searches are those of an evaluation: the same engine, the same ``Attack.access``, the same verdict from the text up. Only training examples are
attacked. Their spaces are the task's substitution set without the language model, which would have to read every one of them; an attack outside the
surface writes texts of its own, and these are added as they stand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from robench._base.errors import RobenchError
from robench.plugins.options import TrainingOptions
from robench.tasks.example import Example
from robench.text.words import replace_words
from robench.training.defense import Defense, Trainee
from robench.training.runtime import stable_seed

if TYPE_CHECKING:
    from robench.search.attack import Trial

AUGMENTATION_DEVIATIONS = (
    "Texts are attacked within the task's substitution set, unless the attack writes texts of its own; no language model judges the substitutes, "
    "not even where it binds the attack in an evaluation.",
    "A share of the training examples is attacked before each epoch but the first; MixADA's release attacks a number (500; in its scripts 300 or 1,500).",
    "A text that is misclassified as it is is not attacked.",
)
"""How texts are made here, for the ``deviations`` of the methods that are trained on them."""


class AugmentationOptions(TrainingOptions):
    """Options of every defense that trains on adversarial texts."""

    attack: str = Field(
        "pwws",
        description="The attack, with its own defaults, that makes the texts; any of 'robench list attacks'.",
    )
    share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the training examples attacked each time, drawn anew.",
    )
    every: int = Field(
        1,
        ge=1,
        description="Epochs from one time to the next; the first is after the first epoch.",
        json_schema_extra={"unit": "epochs"},
    )
    budget: int | None = Field(
        None,
        ge=1,
        description="Questions that a search may put per example; unbounded unless given.",
    )


class AugmentedDefense(Defense):
    """Base of every defense that trains on adversarial texts; its ``Options`` derive from ``AugmentationOptions``."""

    options: AugmentationOptions

    @property
    def attacks(self) -> Sequence[str]:
        """The one that makes the texts."""
        return (self.options.attack,)

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        """The texts so far and those that fool the model now."""
        return with_adversarial_texts(trainee, self.options, epoch)


def with_adversarial_texts(
    trainee: Trainee, options: AugmentationOptions, epoch: int
) -> Sequence[Example] | None:
    """What was added so far and the texts that fool the model now; None in an epoch in which nothing is attacked.

    Raises:
        RobenchError: the attack broke on every text.
    """
    count = round(options.share * len(trainee.examples))
    if epoch == 0 or (epoch - 1) % options.every or not count:
        return None
    started = time.perf_counter()
    seed = stable_seed(trainee.seed, "augment", epoch)
    drawn = np.random.default_rng(seed).choice(len(trainee.examples), count, replace=False)
    chosen = [trainee.examples[index] for index in sorted(drawn.tolist())]
    trials = trainee.attacked(options.attack, chosen, seed, options.budget)
    fooled = [
        _changed(example, trial, trainee.victim.attackable, epoch)
        for example, trial in zip(chosen, trials, strict=True)
        if trial.verdict == "fooled"
    ]
    broken = [trial.problem for trial in trials if trial.verdict == "error"]
    if broken and len(broken) == sum(trial.verdict != "wrong" for trial in trials):
        raise RobenchError(
            f"Attack '{options.attack}' broke on every training text that it was given ({broken[0]}). Mend it, or choose another with 'attack'."
        )
    trouble = f", {len(broken)} searches broke ({broken[0]})" if broken else ""
    asked, seconds = sum(trial.asked for trial in trials), time.perf_counter() - started
    trainee.say(
        f"{options.attack} fooled {len(fooled)} of {count} training texts with {asked} questions in {seconds:.1f} s{trouble}"
    )
    return [*trainee.added, *fooled]


def _changed(example: Example, trial: Trial, attackable: str, epoch: int) -> Example:
    """The text that fooled, with its original's label; the judge has read this very string."""
    text = trial.text  # of an attack outside the surface
    if text is None:
        text = replace_words(
            example.fields[attackable],
            {change.position: change.substitute for change in trial.changes},
        )
    return replace(example, id=f"{example.id}+{epoch}", fields={**example.fields, attackable: text})
