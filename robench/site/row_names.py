"""Short names of rows for charts: options that all rows of a table have are said once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from robench.site.charts import Chart


def shared_options(rows: Iterable[str]) -> str:
    """Return the options that the labels of all rows end with; empty if they differ.

    ``"(train_examples=4000)"`` for ``rift(train_examples=4000)`` and
    ``standard(train_examples=4000)``. One row alone shares nothing.
    """
    labels = list(rows)
    first = labels[0] if len(labels) > 1 else ""
    ending = first[first.index("(") :] if first.endswith(")") and "(" in first else ""
    if not ending or not all(each.endswith(ending) and each != ending for each in labels):
        return ""
    return ending if len({each.removesuffix(ending) for each in labels}) == len(labels) else ""


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
    words = f"{chart.words} All rows have the option {ending.strip('()')}."
    return replace(chart, spec=spec, words=words)


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """Return plain data in which each text that is a row's label is its short name."""
    if isinstance(value, Mapping):
        return {key: _replaced(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
