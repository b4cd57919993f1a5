"""Short names of rows for charts: options that all rows of a table have are said once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from robench.site.charts import Chart

_LABEL = re.compile(r"[^()]*[^() ](?P<options>\([^()]+\))")
"""The label of a defense with options."""


def shared_options(rows: Iterable[str]) -> str:
    """Return the options that the labels of all rows end with; empty if they differ.

    ``"(train_examples=4000)"`` for ``rift(train_examples=4000)`` and
    ``standard(train_examples=4000)``. One row alone shares nothing, and neither does a row such as
    ``my-model (given)``, or one whose label has several brackets.
    """
    labels = list(rows)
    found = {_LABEL.fullmatch(label) for label in labels}
    endings = {match["options"] if match else "" for match in found}
    return endings.pop() if len(labels) > 1 and len(endings) == 1 else ""


def with_short_names(charts: Iterable[Chart], rows: Iterable[str]) -> list[Chart]:
    """Return charts that name each row without the options that all rows have.

    Args:
        charts: the charts of a table.
        rows: the labels of all its rows.
    """
    labels = list(rows)
    ending = shared_options(labels)
    if not ending:
        return list(charts)
    names = {label: label.removesuffix(ending) for label in labels}
    return [_renamed(chart, names, ending) for chart in charts]


def _renamed(chart: Chart, names: Mapping[str, str], ending: str) -> Chart:
    spec = _replaced(chart.spec, names)
    if spec == chart.spec:
        return chart
    words = f"{chart.words} The names of all rows end with {ending}, which is left out here."
    return replace(chart, spec=spec, words=words)


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """Return plain data in which each text that is a row's label is its short name."""
    if isinstance(value, Mapping):
        return {key: _replaced(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
