"""Checks that train a defense in the training loop, from the first step to the saved victim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robench.models.health_checks import check_victim, guessing_accuracy
from robench.protocol import get_protocol
from robench.testing.defense_subject import DefenseSubject
from robench.testing.opinions import Opinions, Pairs, examples, splits
from robench.testing.trainings import differing

FRESH = 40
"""Number of new texts on which a trained victim is judged."""


def check_learning(subject: DefenseSubject) -> None:
    """Check that the defense learns what plain fine-tuning learns in a dozen steps.

    The loss must fall, and accuracy on new texts must beat chance. The training loop checks that
    the loss is finite.
    """
    made = subject.uninterrupted
    history = made.epochs[-1]["history"]
    losses, added = [epoch["loss"] for epoch in history], history[-1]["added_examples"]
    # Added texts fool the model, so they are harder than the others and can raise the loss.
    if not added:
        subject.require(
            losses[-1] < losses[0],
            f"its loss does not fall on an easy task: {_digits(losses)}",
        )
    assert made.victim is not None
    fresh = examples(Opinions, "fresh", FRESH)
    labels = np.asarray([example.label for example in fresh])
    with subject.on("queries of its victim"):
        check_victim(made.victim, fresh)
        predicted = made.victim.predict([example.fields for example in fresh])
        right = float((predicted == labels).mean())
    chance, lucky = guessing_accuracy(labels)
    subject.require(
        right > lucky,
        f"its victim is right on {right:.0%} of an easy task, no better than guessing"
        f" ({chance:.0%}). If it learns slowly, pass a larger number of epochs",
    )


def _digits(losses: Sequence[float]) -> str:
    return ", ".join(f"{loss:.3f}" for loss in losses)


def check_test(subject: DefenseSubject) -> None:
    """Check that the test examples are not read while the defense trains."""
    test = subject.splits.test
    _ = subject.uninterrupted
    subject.require(not getattr(test, "seen", True), "it reads the test examples while it trains")


def check_repeated(subject: DefenseSubject) -> None:
    """Check that two trainings with the same options and seed give the same weights.

    The weights after the first epoch are compared. The state of the global generators before the
    training must make no difference.
    """
    again = subject.killed
    moved = differing(subject.uninterrupted.weights(0), again.weights(0))
    subject.require(
        not moved,
        "trained twice with one seed, it has other weights after an epoch"
        f" ({len(moved)} tensors, {moved[:1]}): it draws from a generator that is not seeded, or"
        " keeps something from one training to the next",
    )


def check_resumed(subject: DefenseSubject) -> None:
    """Check that a training killed in its second epoch and resumed ends with the same weights."""
    _ = subject.killed
    resumed = subject.train("killed", lambda: subject.request(subject.splits))
    assert resumed.victim is not None
    assert subject.uninterrupted.victim is not None
    added = [made.epochs[-1]["added"] for made in (subject.uninterrupted, resumed)]
    subject.require(
        added[0] == added[1],
        "killed and resumed, it adds other texts than without a kill:"
        " augment() must follow from the seed and the epoch alone",
    )
    subject.require(
        not differing(subject.uninterrupted.weights(-1), resumed.weights(-1))
        and resumed.victim.sha256 == subject.uninterrupted.victim.sha256,
        "killed and resumed, it ends with other weights than without a kill:"
        " what must outlive an epoch belongs into modules() (as a parameter or buffer)"
        " or into the optimiser",
    )


def check_dev(subject: DefenseSubject) -> None:
    """Check that a defense that adds texts does not train on dev.

    With all dev labels exchanged it must give the same weights after every epoch.
    """
    if not subject.overrides("augment"):
        return
    usual = subject.splits
    dev = [replace(example, label=1 - example.label) for example in usual.dev]
    other = subject.train("dev", lambda: subject.request(replace(usual, dev=dev)))
    same = not any(
        differing(subject.uninterrupted.weights(epoch), other.weights(epoch))
        for epoch in range(len(other.epochs))
    )
    subject.require(
        same,
        "with other dev labels it trains other weights: dev selects the epoch and has no other use",
    )


def check_pairs(subject: DefenseSubject) -> None:
    """Check the training on a task of premise and hypothesis with three classes.

    Token types separate the two texts. The victim must pass the health checks.
    """
    chosen, options = splits(Pairs, 12, 6), {"epochs": 1, "dev_examples": 6}
    made = subject.train(
        "pairs",
        lambda: subject.request(
            chosen, "toy-pairs", protocol=get_protocol("subword"), options=options
        ),
    )
    assert made.victim is not None
    with subject.on("queries of its victim on pairs of texts"):
        check_victim(made.victim, chosen.dev)
