"""The rates of one record."""

from __future__ import annotations

from robench.records.record import Record
from robench.records.statistics import accuracy_under_attack, attack_success_rate, clean_accuracy


def rates(record: Record) -> dict[str, float | None]:
    """Return the clean accuracy, the accuracy under attack and the attack success rate.

    They lie in [0, 1]. All are None where an example ended in an error. The success rate is also
    None where no example was attacked.
    """
    counts, broken = record.counts, bool(record.counts.error)
    return {
        "clean_accuracy": None if broken else clean_accuracy(counts),
        "accuracy_under_attack": None if broken else accuracy_under_attack(counts),
        "attack_success_rate": None if broken else attack_success_rate(counts),
    }
