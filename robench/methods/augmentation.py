"""Adversarial training texts, made by attacking the model while it is trained.

A text that fools the model is added to the training examples with the label of its original.

The searches work as in an evaluation: the same engine, the same ``Attack.access``, and the same
final check of the whole text. Only training examples are attacked. Their search spaces are the
task's substitution set without the language model, because the model would have to read every
training text. An attack outside the surface writes texts of its own; they are added unchanged.
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
    "Texts are attacked within the task's substitution set, unless the attack writes texts of its "
    "own. No language model judges the substitutes, even where one does in an evaluation.",
    "Before each epoch but the first, a share of the training examples is attacked. MixADA's "
    "release attacks a number of them: 500, and 300 or 1,500 in its scripts.",
    "A text that is already misclassified is not attacked.",
)
"""How texts are made here; for the ``deviations`` of methods that train on them."""


class AugmentationOptions(TrainingOptions):
    """Options of every defense that trains on adversarial texts."""

    attack: str = Field(
        "pwws",
        description="The attack that makes the texts, with its default options; "
        "see 'robench list attacks'.",
    )
    share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the training examples to attack each time, drawn anew.",
    )
    every: int = Field(
        1,
        ge=1,
        description="Epochs between two attacks; the first comes after the first epoch.",
        json_schema_extra={"unit": "epochs"},
    )
    budget: int | None = Field(
        None,
        ge=1,
        description="Query budget of each example's search; unlimited by default.",
    )


class AugmentedDefense(Defense):
    """Base of every defense that trains on adversarial texts.

    A subclass's ``Options`` derive from ``AugmentationOptions``.
    """

    options: AugmentationOptions

    @property
    def attacks(self) -> Sequence[str]:
        """The attack that makes the texts."""
        return (self.options.attack,)

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        """Return the texts added so far and those that fool the model now."""
        return with_adversarial_texts(trainee, self.options, epoch)


def with_adversarial_texts(
    trainee: Trainee, options: AugmentationOptions, epoch: int
) -> Sequence[Example] | None:
    """Return the texts added so far and those that fool the model now.

    Args:
        trainee: the model under training.
        options: which attack, on how many examples and how often.
        epoch: counted from 0.

    Returns:
        None in an epoch in which nothing is attacked.

    Raises:
        RobenchError: the attack failed on every text.
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
    failures = [trial.problem for trial in trials if trial.verdict == "error"]
    if failures and len(failures) == sum(trial.verdict != "wrong" for trial in trials):
        raise RobenchError(
            f"Attack '{options.attack}' failed on every training text ({failures[0]}). "
            "Fix it, or choose another with the option 'attack'."
        )
    failed = f", {len(failures)} searches failed ({failures[0]})" if failures else ""
    asked, seconds = sum(trial.asked for trial in trials), time.perf_counter() - started
    trainee.say(
        f"{options.attack} fooled {len(fooled)} of {count} training texts "
        f"with {asked} queries in {seconds:.1f} s{failed}"
    )
    return [*trainee.added, *fooled]


def _changed(example: Example, trial: Trial, attackable: str, epoch: int) -> Example:
    """Return the text that fooled the model, with the label of its original.

    It is exactly the string that the trial's final check classified.
    """
    # Only an attack outside the surface stores its text; others store the changed words.
    text = trial.text
    if text is None:
        text = replace_words(
            example.fields[attackable],
            {change.position: change.substitute for change in trial.changes},
        )
    return replace(example, id=f"{example.id}+{epoch}", fields={**example.fields, attackable: text})
