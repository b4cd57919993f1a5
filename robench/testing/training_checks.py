"""Checks that train a defense in the one loop, from the first step to the saved victim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robench.models.health_checks import check_victim, guessing_accuracy
from robench.protocol import get_protocol
from robench.testing.defense_subject import DefenseSubject
from robench.testing.opinions import Opinions, Pairs, examples, splits
from robench.testing.trainings import differing

FRESH = 40
"""Texts that a trained victim is judged on."""


def check_learning(subject: DefenseSubject) -> None:
    """What plain fine-tuning learns in a dozen steps is learnt: the loss falls (that it is finite, the loop sees to), and new texts beat chance."""
    made = subject.unbroken
    history = made.epochs[-1]["history"]
    losses, added = [epoch["loss"] for epoch in history], history[-1]["added_examples"]
    if not added:  # texts that were added because they fool the model are harder than the others
        subject.require(
            losses[-1] < losses[0],
            f"its loss does not fall on an easy task: {', '.join(f'{loss:.3f}' for loss in losses)}",
        )
    assert made.victim is not None
    fresh = examples(Opinions, "fresh", FRESH)
    labels = np.asarray([example.label for example in fresh])
    with subject.on("questions to its victim"):
        check_victim(made.victim, fresh)
        right = float((made.victim.predict([example.fields for example in fresh]) == labels).mean())
    chance, lucky = guessing_accuracy(labels)
    subject.require(
        right > lucky,
        f"its victim is right on {right:.0%} of an easy task, no better than guessing ({chance:.0%}). If it is slow, give epochs",
    )


def check_test(subject: DefenseSubject) -> None:
    """Nobody looks at the test examples while it trains."""
    test = subject.splits.test
    _ = subject.unbroken
    subject.require(
        not getattr(test, "seen", True), "it looks at the test examples while it trains"
    )


def check_repeated(subject: DefenseSubject) -> None:
    """Trained twice with the same options and seed it has the same weights after the first epoch, whatever the state of the global generators before."""
    again = subject.killed
    moved = differing(subject.unbroken.weights(0), again.weights(0))
    subject.require(
        not moved,
        f"trained twice with one seed it has other weights after an epoch ({len(moved)} tensors, {moved[:1]}): it draws from a generator that nobody seeds, "
        "or keeps something from one training to the next",
    )


def check_resumed(subject: DefenseSubject) -> None:
    """Killed in its second epoch and resumed it ends with the weights of an unbroken training."""
    _ = subject.killed
    resumed = subject.train("killed", lambda: subject.request(subject.splits))
    assert resumed.victim is not None
    assert subject.unbroken.victim is not None
    added = [made.epochs[-1]["added"] for made in (subject.unbroken, resumed)]
    subject.require(
        added[0] == added[1],
        "killed and resumed it adds other texts than unbroken: augment() must follow from the seed and the epoch alone",
    )
    subject.require(
        not differing(subject.unbroken.weights(-1), resumed.weights(-1))
        and resumed.victim.sha256 == subject.unbroken.victim.sha256,
        "killed and resumed it ends with other weights than unbroken: what must outlive an epoch belongs into modules() (as a parameter or buffer) "
        "or into the optimiser",
    )


def check_dev(subject: DefenseSubject) -> None:
    """Where it adds texts, and so meets the data: with all dev labels exchanged it trains the same weights, epoch by epoch."""
    if not subject.brings("augment"):
        return
    usual = subject.splits
    dev = [replace(example, label=1 - example.label) for example in usual.dev]
    other = subject.train("dev", lambda: subject.request(replace(usual, dev=dev)))
    same = not any(
        differing(subject.unbroken.weights(epoch), other.weights(epoch))
        for epoch in range(len(other.epochs))
    )
    subject.require(
        same,
        "with other dev labels it trains other weights: dev selects the epoch and is for nothing else",
    )


def check_pairs(subject: DefenseSubject) -> None:
    """A task of premise and hypothesis with three classes, told apart by token types: it trains, and its victim is in order."""
    chosen, options = splits(Pairs, 12, 6), {"epochs": 1, "dev_examples": 6}
    made = subject.train(
        "pairs",
        lambda: subject.request(
            chosen, "toy-pairs", protocol=get_protocol("subword"), options=options
        ),
    )
    assert made.victim is not None
    with subject.on("questions to its victim on pairs of texts"):
        check_victim(made.victim, chosen.dev)
