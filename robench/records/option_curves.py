"""Accuracy under attack by an option of the attack, such as its population.

Records of one attack with several values of one number give a curve over this number. A sweep
makes such records: ``robench sweep --option genetic.population=10,30,60``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from robench.records.record import Record
from robench.records.statistics import accuracy_under_attack


@dataclass(frozen=True)
class OptionCurve:
    """Accuracy under one attack by one of its options, the mean over the seeds.

    Attributes:
        label: label of the row.
        points: value of the option -> accuracy under attack in [0, 1].
    """

    label: str
    points: Mapping[float, float]


def option_curves(records: Iterable[Record]) -> dict[str, list[OptionCurve]]:
    """Return the curves by the name of the option: "genetic.population".

    An option counts if it is a number, and if a row has records of the attack with several values
    of it while its other options are equal. Records with errors are left out.
    """
    groups: dict[tuple[str, str, str], dict[float, list[float]]] = {}
    for record in records:
        if record.counts.error:
            continue
        for name, value in record.attack.options.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            others = {key: each for key, each in record.attack.options.items() if key != name}
            place = f"{record.attack.name}.{name}", record.row, str(sorted(others.items()))
            accuracy = accuracy_under_attack(record.counts)
            groups.setdefault(place, {}).setdefault(float(value), []).append(accuracy)
    found: dict[str, list[OptionCurve]] = {}
    for (option, row, _), values in sorted(groups.items()):
        if len(values) > 1:
            points = {value: fmean(each) for value, each in values.items()}
            found.setdefault(option, []).append(OptionCurve(row, points))
    return found
