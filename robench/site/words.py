"""The terms that the overview explains, in the words of the glossary."""

from __future__ import annotations

from typing import Final

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
