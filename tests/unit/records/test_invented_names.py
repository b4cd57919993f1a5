"""Labels and names that a run does not give."""

from __future__ import annotations

import pytest
from records import make_record

from robench.plugins.option_routing import label
from robench.plugins.options import Options
from robench.records.invented_names import label_problem, label_problems, leading_name

OPTIONS = {"alpha": 0.5, "name": "a, b (c)", "on": True, "steps": [1, 2]}


class Chosen(Options):
    """Options of every kind."""

    alpha: float = 0.1
    name: str = ""
    on: bool = False
    steps: tuple[int, ...] = ()


def test_a_label_that_a_run_gives_fits() -> None:
    options = Chosen(**OPTIONS)
    values = options.model_dump(mode="json")
    shown = label("rift", options, Chosen())
    assert label_problem("rift", shown, values) is None
    assert label_problem("rift", label("rift", options, options), values) is None
    for name in values:
        one = label("rift", Chosen(**{name: OPTIONS[name]}), Chosen())
        assert label_problem("rift", one, values) is None


@pytest.mark.parametrize(
    ("name", "shown", "why"),
    [
        ("standard", "rift", "is not one of 'standard'"),
        ("standard", "rift (standard)", "is not one of 'standard'"),
        ("rift", "rift (standard)", "is not one of 'rift'"),
        ("rift", "rift(alpha=0.9)", "does not name the options"),
        ("rift", "rift(alpha=0.5", "is not one of"),
        ("rift", "rift()", "is not one of"),
        ("rift", "rift(alpha=0.5, beta=1)", "does not name the options"),
        ("rift", "rift(on=true, alpha=0.5)", "does not name the options"),
        ("pwws", "pwws@wordnet", "is not one of"),
        ("pwws@wordnet", "pwws", "is not one of"),
    ],
)
def test_an_invented_label(name: str, shown: str, why: str) -> None:
    assert why in (label_problem(name, shown, OPTIONS) or "")


def test_the_set_of_an_attack_may_be_written_otherwise() -> None:
    assert label_problem("pwws@/data/mine.json", "pwws@mine.json(alpha=0.5)", OPTIONS) is None


def test_a_long_label_is_cut() -> None:
    assert len(label_problem("rift", "x" * 10**6, {}) or "") < 400


def test_both_labels_of_a_record() -> None:
    assert label_problems(make_record("H")) == []
    assert label_problems(make_record("H", given="mine")) == []
    found = label_problems(make_record("H", label="rift", attack_label="pwws"))
    assert found == [
        "of the defense, the label 'rift' is not one of 'standard'",
        "of the attack, the label 'pwws' is not one of 'genetic'",
    ]


@pytest.mark.parametrize(
    ("name", "found"),
    [("", None), ("---", None), ("Rift!", "rift"), ("rose first", "rose-first"), ("rosé", None)],
)
def test_the_longest_defense_with_which_a_name_begins(name: str, found: str | None) -> None:
    assert leading_name(name, ["rose", "rift", "rose-first"]) == found
