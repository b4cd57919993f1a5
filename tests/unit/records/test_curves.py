"""Curves of a record: drawn from costs, checked, and shown in tables, frames and figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from robench.cli import main
from robench.records.comparison import compare
from robench.records.comparison_text import terminal
from robench.records.curve_tables import accuracy_at, curve_data, curve_rows
from robench.records.curves import Curve, CurvesPart, draw_curve, query_points, word_points
from robench.records.frames import CURVE_COLUMNS, results
from robench.records.option_curves import option_curves
from robench.records.record import Record
from robench.records.record_files import read_record, write_record
from robench.records.render import curve_table
from robench.records.run_folder import RunFolder
from robench.records.statistics import BlockedCell, wilson

MakeRecord = Callable[..., Record]


def with_curves(record: Record, queries: list[int], words: list[int]) -> Record:
    curves = CurvesPart(
        queries=draw_curve(queries, query_points()), words=draw_curve(words, word_points())
    )
    return Record.model_validate(record.model_dump(by_alias=True) | {"curves": curves.model_dump()})


def test_the_points_that_a_record_stores() -> None:
    assert list(islice(query_points(), 8)) == [1, 2, 5, 10, 20, 50, 100, 200]
    assert list(islice(word_points(), 13)) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100]


def test_a_curve_counts_what_each_cost_was_enough_for() -> None:
    curve = draw_curve([3, 5, 5, 6, 40], query_points())
    assert curve.at_most == (1, 2, 5, 10, 20, 50)
    assert curve.fooled == (0, 0, 3, 4, 4, 5)
    assert [curve.fooled_at(cost) for cost in (0, 4, 5, 9, 50, 10**9)] == [0, 0, 3, 3, 5, 5]
    assert curve.total == 5


def test_a_curve_without_a_fooled_example_has_one_point() -> None:
    assert draw_curve([], word_points()) == Curve(at_most=(1,), fooled=(0,))


@pytest.mark.parametrize(
    ("at_most", "fooled", "complaint"),
    [
        ((), (), "at least one"),
        ((1, 2), (0,), "as many costs"),
        ((2, 1), (0, 1), "must ascend"),
        ((1, 1), (0, 1), "must ascend"),
        ((1, 2), (3, 2), "cannot fool fewer"),
        ((0,), (0,), "greater than 0"),
        ((1,), (-1,), "greater than or equal to 0"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(
    at_most: tuple[int, ...], fooled: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Curve(at_most=at_most, fooled=fooled)


def test_a_record_with_curves_is_read_as_it_was_written(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    record = with_curves(make_record("WFFH"), [3, 30], [1, 2])
    write_record(tmp_path / "a.json", record)
    assert read_record(tmp_path / "a.json") == record


def test_a_record_whose_curve_ends_elsewhere_is_refused(make_record: MakeRecord) -> None:
    with pytest.raises(ValidationError, match="over words ends at 1 fooled examples, and 2 were"):
        with_curves(make_record("WFFH"), [3, 30], [1])


def test_the_accuracy_at_a_cost_counts_wrong_examples_as_not_robust(
    make_record: MakeRecord,
) -> None:
    record = with_curves(make_record("WFFH"), [3, 30], [1, 2])
    assert record.curves
    assert record.curves.queries
    found = [accuracy_at(record, record.curves.queries, cost) for cost in (1, 5, 50)]
    assert found == [0.75, 0.5, 0.25]


def test_an_error_leaves_no_curve(make_record: MakeRecord) -> None:
    record = with_curves(make_record("WFFE"), [3, 30], [1, 2])
    assert record.curves
    assert record.curves.queries
    with pytest.raises(BlockedCell):
        accuracy_at(record, record.curves.queries, 1)
    assert curve_rows([record], "queries") == []
    assert curve_data(record) == []


def test_a_table_of_curves_shows_means_over_seeds_up_to_the_largest_need(
    make_record: MakeRecord,
) -> None:
    records = [
        with_curves(make_record("WFFH"), [3, 300], [1, 2]),
        with_curves(make_record("WFHH", seed=1), [7], [2]),
        with_curves(make_record("WHHH", defense="rift"), [], []),
        make_record("WFHH", attack="pwws"),
        make_record("WHHH", attack="none", searches=False),
    ]
    headings, body = curve_table("queries", records)
    assert headings[2:] == ["at most 10", "at most 100", "any number of queries"]
    assert body == [
        ["rift", "genetic", "75.0", "75.0", "75.0"],
        ["standard", "genetic", "50.0", "50.0", "37.5"],
    ]
    headings, body = curve_table("words", records)
    assert headings[2:] == ["at most 1", "any number of words"]
    assert body[1] == ["standard", "genetic", "62.5", "37.5"]


def test_a_seed_without_a_curve_leaves_its_row_out(make_record: MakeRecord) -> None:
    records = [with_curves(make_record("WF"), [3], [1]), make_record("WF", seed=1)]
    assert curve_table("queries", records)[1] == []


def test_a_seed_without_the_attack_leaves_its_row_out(make_record: MakeRecord) -> None:
    """The mean under this attack would be one of fewer victims than that under the other."""
    whole = [with_curves(make_record("WF", attack="pwws", seed=seed), [3], [1]) for seed in (0, 1)]
    records = [*whole, with_curves(make_record("WH", seed=0), [], [])]
    assert [row[:2] for row in curve_table("queries", records)[1]] == [["standard", "pwws"]]


def test_the_frame_has_a_line_for_each_point(make_record: MakeRecord, tmp_path: Path) -> None:
    record = with_curves(make_record("WFFH"), [2, 2], [1, 2])
    write_record(RunFolder(tmp_path).records / "a.json", record)
    write_record(RunFolder(tmp_path).records / "b.json", make_record("WFFH", attack="pwws"))
    frame = results(tmp_path).curves
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == CURVE_COLUMNS
    assert frame[["curve", "at_most", "fooled"]].values.tolist() == [
        ["queries", 1, 0],
        ["queries", 2, 2],
        ["words", 1, 1],
        ["words", 2, 2],
    ]
    assert frame["accuracy_under_attack"].tolist() == [0.75, 0.25, 0.5, 0.25]
    assert (frame["under_low"][0], frame["under_high"][0]) == wilson(0.75, 4)
    assert set(frame["record"]) == {"a.json"}


def test_an_option_with_several_values_gives_a_curve(make_record: MakeRecord) -> None:
    def record(outcomes: str, population: int, seed: int = 0, **others: object) -> Record:
        options = {"population": population, "greedy": True, "name": "x", **others}
        label = f"genetic(population={population})"
        return make_record(outcomes, attack_label=label, attack_options=options, seed=seed)

    found = option_curves(
        [
            record("WFFH", 60),
            record("WHHH", 10),
            record("WFHH", 10, seed=1),
            # Another option differs too, so there is no second value for it.
            record("WFFF", 30, steps=7),
        ]
    )
    assert list(found) == ["genetic.population"]
    (curve,) = found["genetic.population"]
    assert (curve.label, curve.points) == ("standard", {60.0: 0.25, 10.0: 0.625})


def test_a_comparison_shows_both_curves(make_record: MakeRecord, tmp_path: Path) -> None:
    write(
        tmp_path,
        with_curves(make_record("WFFH", defense="rift"), [3, 300], [1, 2]),
        with_curves(make_record("FFFH"), [3, 3, 30], [1, 1, 1]),
    )
    result = compare("rift", "standard", out=tmp_path)
    assert (
        "Under genetic with at most 10 / 100 queries: rift 50.0 / 50.0, standard 50.0 / 25.0."
        in terminal(result, None)
    )
    words = result.to_dict()["curves"][1]
    assert (words["name"], words["at_most"], words["first"]) == ("words", (1,), (0.5,))


def test_rows_without_curves_compare_without_them(make_record: MakeRecord, tmp_path: Path) -> None:
    write(
        tmp_path,
        with_curves(make_record("WFFH", defense="rift"), [3, 300], [1, 2]),
        make_record("FFFH"),
    )
    assert compare("rift", "standard", out=tmp_path).curves == ()


# -- robench plot curves --


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["plot", "curves", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def write(folder: Path, *records: Record) -> None:
    for number, record in enumerate(records):
        write_record(RunFolder(folder).records / f"{number}.json", record)


def test_the_command_prints_the_numbers_and_draws_the_figure(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    write(tmp_path, with_curves(make_record("WFFH"), [3, 300], [1, 2]))
    code, out, _ = run(tmp_path, "--to", tmp_path / "a.svg")
    assert code == 0
    assert "by queries" in out
    assert "at most 100" in out
    assert "by changed words" in out
    assert (
        "changed words, at most" in (tmp_path / "a.svg").read_text()
        or (tmp_path / "a.svg").stat().st_size
    )


def test_the_figure_lies_in_the_folder_of_the_run_and_the_command_says_so(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write(tmp_path / "runs", with_curves(make_record("WFFH"), [3, 300], [1, 2]))
    code, out, _ = run("../runs")
    assert code == 0
    assert out.endswith("wrote ../runs/curves.png\n")
    assert (tmp_path / "runs" / "curves.png").is_file()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    code, out, _ = run("../runs", "--json")
    assert json.loads(out)["figure"] == "../runs/curves.png"


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ((), "belong to 2 tables"),
        (("--defense", "nobody"), "has no such record"),
        (("--defense", "standard", "--task", "old"), "hold no curves"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_one_sentence(
    make_record: MakeRecord, tmp_path: Path, chosen: tuple[str, ...], sentence: str
) -> None:
    pytest.importorskip("matplotlib")
    write(
        tmp_path,
        with_curves(make_record("WFFH"), [3, 300], [1, 2]),
        make_record("WFFH", task={"name": "old"}),
    )
    code, _, err = run(tmp_path, "--to", tmp_path / "a.png", *chosen)
    assert code == 2
    assert sentence in err
    assert not (tmp_path / "a.png").exists()
    assert err.count("Error:") == 1


def test_damaged_records_are_named(make_record: MakeRecord, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(tmp_path, with_curves(make_record("WFFH"), [3, 300], [1, 2]))
    whole = tmp_path / "records" / "0.json"
    (tmp_path / "records" / "1.json").write_text(whole.read_text()[:100])
    code, _, err = run(tmp_path, "--to", tmp_path / "a.png")
    assert code == 0
    assert f"Warning: 1 record of {tmp_path} cannot be read. Cannot read the record" in err
    whole.write_text("{")
    code, _, err = run(tmp_path, "--to", tmp_path / "a.png")
    assert code == 1
    assert f"Error: 2 records of {tmp_path} cannot be read." in " ".join(err.split())
    assert "0.json (it is not JSON: Expecting" in " ".join(err.split())
