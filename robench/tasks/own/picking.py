"""Test and dev examples out of the user's data, by a rule that ignores the order of the rows.

1. A text counts once. Texts that differ in case or white space only are the same text. A text with
   several labels is not picked.
2. Of each label at most a share is picked (20 % for test, 10 % for dev), and at least one.
3. The numbers per label are equal as far as these limits allow, and 1000 together at most.
4. Of each label those with the smallest ids are picked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from robench.tasks.example import Example
from robench.tasks.frozen import content_key

TEST_SHARE = 5
"""One in this many examples of each label is at most a test example."""
DEV_SHARE = 10
"""One in this many examples of each label is at most a dev example."""


def one_per_text(examples: Iterable[Example]) -> list[Example]:
    """Return one example per text, sorted by id, without texts that have several labels."""
    clear = [group for group in _by_text(examples) if not _has_several_labels(group)]
    # The shortest id is the one without a counter.
    firsts = [min(group, key=lambda each: (len(each.id), each.id)) for group in clear]
    return sorted(firsts, key=lambda example: example.id)


def count_unclear(examples: Iterable[Example]) -> int:
    """Return the number of texts that have several labels."""
    return sum(_has_several_labels(group) for group in _by_text(examples))


def _by_text(examples: Iterable[Example]) -> list[list[Example]]:
    same: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in examples:
        same[content_key(example)].append(example)
    return list(same.values())


def _has_several_labels(group: Sequence[Example]) -> bool:
    return len({example.label for example in group}) > 1


def count_labels(examples: Iterable[Example], classes: int) -> list[int]:
    """Return the number of examples of each label."""
    counts = [0] * classes
    for example in examples:
        counts[example.label] += 1
    return counts


def fair_shares(limits: Sequence[int], total: int) -> list[int]:
    """Share ``total`` out over labels: equal numbers, but none above its limit.

    What cannot be divided goes to the first labels that still have room.
    """
    shares = [0] * len(limits)
    left = total
    while left > 0:
        open_ = [label for label, limit in enumerate(limits) if shares[label] < limit]
        if not open_:
            break
        step = max(1, left // len(open_))
        for label in open_:
            more = min(step, limits[label] - shares[label], left)
            shares[label] += more
            left -= more
    return shares


def pick_shares(examples: Iterable[Example], shares: Sequence[int]) -> list[Example]:
    """Return of each label the number given that have the smallest ids; sorted by id."""
    left = list(shares)
    picked = []
    for example in sorted(examples, key=lambda example: example.id):
        if left[example.label] > 0:
            left[example.label] -= 1
            picked.append(example)
    return picked


def pick(examples: Sequence[Example], classes: int, total: int, share: int = 1) -> list[Example]:
    """Pick at most ``total`` examples, and of each label at most one in ``share``.

    Args:
        examples: examples as ``one_per_text`` returns them.
        classes: number of labels.
        total: most examples.
        share: 1 picks from all examples.
    """
    counts = count_labels(examples, classes)
    limits = [max(1, count // share) if count else 0 for count in counts]
    return pick_shares(examples, fair_shares(limits, total))
