"""Findings about the training of a victim, from what its card says of the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from robench.models.health_checks import RedFlag

FIELDS = (
    ("clean", "dev accuracy"),
    ("attacked", "dev accuracy under the convex-hull attack"),
)
"""Number of an epoch -> how a sentence names it."""


def training_findings(card: Mapping[str, Any]) -> list[RedFlag]:
    """Return what looks suspicious about how a victim was trained.

    Args:
        card: the contents of ``victim.json``. Nothing is known where robench did not train the
            victim, or where an older robench did.
    """
    selection = card.get("selection")
    if not selection or len(selection["epochs"]) < 2:
        # A training of one epoch has nothing to compare; its options say that it was one.
        return []
    name, epochs = card["name"], selection["epochs"]
    found = _first_epoch(name, selection) + _still_rising(name, epochs, card["dev_examples"])
    return [RedFlag(flag, message) for flag, message in found]


def _first_epoch(name: str, selection: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Find a victim for which most of its training was thrown away."""
    if selection["kept"] > 1:
        return []
    first, *later = selection["epochs"]
    seen = []
    for field, what in FIELDS:
        values = [epoch[field] for epoch in later]
        if first[field] is not None and None not in values:
            seen.append(f"its {what} is {first[field]:.1%}, later at most {max(values):.1%}")
    message = (
        f"'{name}' is the first of its {len(selection['epochs'])} epochs, and the rule "
        f"select={selection['rule']} took none of the others: {'; '.join(seen)}. Lower the "
        "learning rate, or look at that rule."
    )
    return [("first-epoch", message)]


def _still_rising(
    name: str, epochs: Sequence[Mapping[str, Any]], dev_examples: int
) -> list[tuple[str, str]]:
    """Find a training that ended while the victim still improved on dev.

    The last epoch must be better than all before it by more than one standard error of its
    accuracy. The best of several equal epochs is the last one often enough by chance alone.
    """
    found = []
    for field, what in FIELDS:
        values = [epoch[field] for epoch in epochs]
        if None in values:
            continue
        before, last = max(values[:-1]), values[-1]
        if last - before > sqrt(last * (1 - last) / dev_examples):
            found.append(f"its {what} rose from {before:.1%} to {last:.1%}")
    if not found:
        return []
    message = (
        f"'{name}' was still improving when its training ended: {', and '.join(found)} in the "
        f"last of {len(epochs)} epochs. More epochs may give a better victim."
    )
    return [("still-rising", message)]
