"""The terms that the overview explains, in the words of the glossary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_VICTIM: Final = re.compile(r"(?P<victim>.+)-s(?P<seed>\d+)-[0-9a-f]{8}")


@dataclass(frozen=True)
class HowTo:
    """What a page lacks, in words, and the command that makes it."""

    words: str
    command: str


def victim_and_seed(folder: str) -> tuple[str, int]:
    """Return the victim and its seed, as the name of its folder says them."""
    match = _VICTIM.fullmatch(folder)
    return (match["victim"], int(match["seed"])) if match else (folder, 0)


TERMS: Final = (
    (
        "clean accuracy",
        "The share of the examples that the classifier gets right without an attack.",
    ),
    (
        "accuracy under attack",
        "The share of all examples that are right and that the attack does not make wrong. "
        "An example that is wrong without an attack counts as not robust.",
    ),
    (
        "worst case",
        "The same under all attacks of the table together, decided example by example.",
    ),
    (
        "95 % interval",
        "Where the accuracy is expected on other examples of the same kind. With several seeds, "
        "it is also about other trainings.",
    ),
    (
        "group",
        "Two rows that share a letter are not told apart by the paired test.",
    ),
    (
        "verified",
        "Somebody ran robench verify on all records of the row: the victims were asked again, "
        "and a share of the searches was repeated.",
    ),
    ("claimed", "This was not done, or not for everything."),
)
"""Term -> its meaning."""

NO_RUNS: Final = HowTo(
    "Adversarial examples, and how far the trainings moved the weights, are not committed with the "
    "records. They come from the folder of a run.",
    "robench site build --runs RUN",
)
"""What the overview says of a site that was built without the folder of a run."""
