"""Which row of a paper stands above which, and what a board says about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from robench.records.orderings import (
    Judged,
    Method,
    PaperScores,
    judge_orderings,
    method_of,
    orderings,
    paper_scores,
)
from robench.records.record import Record
from robench.records.reported import Reported
from robench.records.statistics import tango

MakeRecord = Callable[..., Record]
# Ten examples on one side: p = 2 / 2^10. Two of them on one side: p = 1/2.
MANY, FEW = "H" * 10, "H" * 8 + "FF"
NONE_HELD = "F" * 10


def table(
    rows: dict[str, Sequence[str]], encoder: str = "bert", attacks: Sequence[str] = ("pwws",)
) -> dict[str, object]:
    """Return a table whose row names are names of defenses, with ``+on`` for an option."""
    return {
        "paper": "P",
        "source": f"Table of {encoder}, {len(rows)} rows, {len(attacks)} columns",
        "where": "main paper",
        "caption": "Accuracy",
        "task": "toy",
        "encoder": encoder,
        "columns": tuple({"printed": attack, "attack": attack} for attack in attacks),
        "rows": tuple(
            {
                "printed": name.upper(),
                "defense": name.removesuffix(" on"),
                "options": {"on": True} if name.endswith(" on") else {},
                "values": tuple(values),
            }
            for name, values in rows.items()
        ),
    }


def scores_of(*tables: dict[str, object]) -> PaperScores:
    paper = {"name": "P", "cite": "A, 2020", "title": "Title", "url": "https://example.org"}
    (found,) = paper_scores(Reported.model_validate({"papers": (paper,), "tables": tables}))
    return found


def pairs(scores: PaperScores) -> list[tuple[str, str, str]]:
    return [(o.attack, o.higher.label, o.lower.label) for o in orderings(scores)[0]]


def test_every_pair_of_a_table_has_an_ordering() -> None:
    scores = scores_of(table({"a": ["50.0"], "b": ["60.0"], "c": ["40.0"]}))
    assert pairs(scores) == [("pwws", "b", "a"), ("pwws", "a", "c"), ("pwws", "b", "c")]
    assert [dict(o.points) for o in orderings(scores)[0]] == [
        {"bert": 10.0},
        {"bert": 10.0},
        {"bert": 20.0},
    ]


def test_the_encoders_of_a_paper_must_agree() -> None:
    scores = scores_of(
        table({"a": ["50.0"], "b": ["60.0"], "c": ["50.0"]}),
        table({"a": ["70.0"], "b": ["69.9"], "c": ["60.0"]}, "roberta"),
    )
    # a and b disagree; a and c are equal for one encoder.
    assert pairs(scores) == [("pwws", "b", "c")]
    assert orderings(scores)[1] == 2


def test_clean_accuracy_comes_first_and_the_first_table_counts() -> None:
    scores = scores_of(
        table({"a": ["50.0", "91.0"], "b": ["60.0", "90.0"]}, attacks=("pwws", "none")),
        table({"b": ["10.0"]}),
    )
    assert scores.attacks == ("none", "pwws")
    assert pairs(scores) == [("none", "a", "b"), ("pwws", "b", "a")]


def test_a_row_without_a_defense_has_no_ordering() -> None:
    rows = table({"a": ["50.0"], "b": ["60.0"], "c": ["70.0"]})
    cells = list(rows["rows"])  # type: ignore[call-overload]
    cells[2] = {"printed": "alpha = 1", "values": ("70.0",)}
    assert pairs(scores_of(rows | {"rows": tuple(cells)})) == [("pwws", "b", "a")]


def test_a_record_belongs_to_the_method_that_names_most_of_its_options(
    make_record: MakeRecord,
) -> None:
    methods = (Method("A", "a"), Method("A on", "a", (("on", True),)))
    cases = {True: methods[1], False: methods[0], None: methods[0]}
    for value, expected in cases.items():
        options = {} if value is None else {"on": value}
        assert method_of(make_record("HF", defense="a", options=options), methods) == expected
    assert method_of(make_record("HF", defense="a+b"), methods) is None
    assert method_of(make_record("HF", given="a"), methods) is None
    assert [method.label for method in methods] == ["a", "a(on=true)"]


def judged(scores: PaperScores, *records: Record) -> list[Judged]:
    return judge_orderings(scores, records)


@pytest.fixture
def scores() -> PaperScores:
    """A paper that reports b above a under pwws, and nothing about clean accuracy."""
    return scores_of(table({"a": ["50.0"], "b": ["60.0"]}))


@pytest.mark.parametrize(
    ("of_a", "of_b", "verdict", "difference"),
    [
        (NONE_HELD, MANY, "holds", 1.0),
        (MANY, NONE_HELD, "does not hold", -1.0),
        (FEW, MANY, "cannot be told", 0.2),
        (MANY, MANY, "cannot be told", 0.0),
    ],
)
def test_the_three_verdicts(
    make_record: MakeRecord,
    scores: PaperScores,
    of_a: str,
    of_b: str,
    verdict: str,
    difference: float,
) -> None:
    (found,) = judged(
        scores,
        make_record(of_a, defense="a", attack="pwws"),
        make_record(of_b, defense="b", attack="pwws"),
    )
    assert found.verdict == verdict
    assert found.difference == pytest.approx(difference)
    low, high = found.interval
    assert -1 <= low <= found.difference <= high <= 1
    assert found.rows == ("b", "a")


def test_one_seed_has_the_interval_of_a_comparison(
    make_record: MakeRecord, scores: PaperScores
) -> None:
    records = [make_record("H" * 7 + "FFF", defense="a", attack="pwws")]
    records += [make_record(MANY, defense="b", attack="pwws")]
    (found,) = judged(scores, *records)
    assert found.difference == pytest.approx(0.3)
    assert found.interval == tango(3, 0, 10)
    assert found.corrected == pytest.approx(2 / 2**3)


def test_several_seeds_are_tested_together(make_record: MakeRecord, scores: PaperScores) -> None:
    """The rows may have other seeds, and another number of them."""

    def of_a(*letters: str) -> list[Record]:
        return [
            make_record(text, defense="a", attack="pwws", seed=seed)
            for seed, text in enumerate(letters)
        ]

    of_b = [make_record(MANY * 4, defense="b", attack="pwws", seed=7)]
    low, middle = NONE_HELD * 4, (MANY + NONE_HELD) * 2
    (found,) = judged(scores, *of_a(low, low, low), *of_b)
    assert (found.seeds, found.verdict) == ((1, 3), "holds")
    # One training that is as good as the other row leaves the order open.
    (found,) = judged(scores, *of_a(low, middle, MANY * 4), *of_b)
    assert found.difference == pytest.approx(0.5)
    assert found.verdict == "cannot be told"


def test_p_values_are_corrected_for_all_tests_of_the_board(make_record: MakeRecord) -> None:
    """Six examples on one side have p = 2 / 2^6 = 0.031. Three such tests correct it to 0.094."""
    six = "H" * 4 + "F" * 6
    scores = scores_of(table({"a": ["50.0"], "b": ["60.0"], "c": ["70.0"]}))
    records = [
        make_record(letters, defense=name, attack="pwws")
        for name, letters in (("a", six), ("b", "H" * 10))
    ]
    (alone,) = judge_orderings(scores, records)
    assert alone.corrected == pytest.approx(2 / 64)
    assert alone.verdict == "holds"
    more = [*records, make_record("F" * 6 + "H" * 4, defense="c", attack="pwws")]
    found = {(each.rows): each for each in judge_orderings(scores, more)}
    assert found["b", "a"].verdict == "cannot be told"
    assert found["b", "a"].corrected == pytest.approx(3 * 2 / 64)


@pytest.mark.parametrize("finding", ["chance", "one-class", "class-ignored"])
def test_nothing_is_judged_by_a_victim_that_has_not_learned(
    make_record: MakeRecord, finding: str
) -> None:
    """And its tests do not count for the correction of the others."""
    scores = scores_of(table({"a": ["50.0"], "b": ["60.0"], "c": ["70.0"]}))
    six = "H" * 4 + "F" * 6
    found = judged(
        scores,
        make_record(six, defense="a", attack="pwws"),
        make_record("H" * 10, defense="b", attack="pwws"),
        make_record(NONE_HELD, defense="c", attack="pwws", victim={"findings": (f"{finding}: x",)}),
    )
    verdicts = {each.rows: (each.verdict, each.corrected) for each in found}
    assert verdicts == {
        ("b", "a"): ("holds", pytest.approx(2 / 64)),
        ("c", "a"): ("not judged", None),
        ("c", "b"): ("not judged", None),
    }


def test_another_finding_leaves_an_ordering_judged(
    make_record: MakeRecord, scores: PaperScores
) -> None:
    rising = {"findings": ("still-rising: 'b' has a chance to improve.",)}
    (found,) = judged(
        scores,
        make_record(NONE_HELD, defense="a", attack="pwws"),
        make_record(MANY, defense="b", attack="pwws", victim=rising),
    )
    assert found.verdict == "holds"


def test_two_boards_share_answers_if_both_rows_have_a_training_in_common(
    make_record: MakeRecord, scores: PaperScores
) -> None:
    def board(of_a: dict[int, str], of_b: dict[int, str]) -> Judged:
        (found,) = judged(
            scores,
            *(make_record(x, defense="a", attack="pwws", seed=k) for k, x in of_a.items()),
            *(make_record(x, defense="b", attack="pwws", seed=k) for k, x in of_b.items()),
        )
        return found

    one = board({0: FEW}, {0: MANY})
    assert one.shares_answers(board({0: FEW, 1: NONE_HELD}, {0: MANY, 1: MANY}))
    assert not one.shares_answers(board({0: NONE_HELD}, {0: MANY}))
    assert not one.shares_answers(board({0: FEW}, {0: FEW}))


def test_clean_accuracy_is_what_is_not_wrong_without_an_attack(make_record: MakeRecord) -> None:
    scores = scores_of(table({"a": ["80.0"], "b": ["70.0"]}, attacks=("none",)))
    (found,) = judged(
        scores,
        make_record("FFFFFFFFFF", defense="a", attack="pwws"),
        make_record("WWWWWWWWWW", defense="b", attack="genetic"),
    )
    assert (found.verdict, found.difference) == ("holds", 1.0)


def test_an_ordering_without_rows_is_left_out(make_record: MakeRecord, scores: PaperScores) -> None:
    a = make_record(MANY, defense="a", attack="pwws")
    assert judged(scores) == []
    assert judged(scores, a) == []
    assert judged(scores, a, make_record(MANY, defense="b", attack="genetic")) == []
    assert len(judged(scores, a, make_record(MANY, defense="b", attack="pwws", seed=1))) == 1


def test_two_rows_for_one_method_leave_the_ordering_out(
    make_record: MakeRecord, scores: PaperScores
) -> None:
    rows = [
        make_record(NONE_HELD, defense="a", attack="pwws"),
        make_record(MANY, defense="b", attack="pwws"),
        make_record(MANY, defense="b", label="b(epochs=8)", attack="pwws"),
    ]
    assert judged(scores, *rows) == []
    assert len(judged(scores, *rows[:2])) == 1
