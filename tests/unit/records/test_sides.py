"""Which rows the two names of a comparison mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import RobenchError, UsageError
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.sides import Side, find_sides

MakeRecord = Callable[..., Record]


@pytest.fixture
def put(tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that writes a record into a run; runs lie in the current folder."""
    monkeypatch.chdir(tmp_path)

    def put(name: str, run: str = "runs", **values: Any) -> None:
        record = make_record("HHF", **values)
        write_record(RunFolder(tmp_path / run).records / f"{name}.json", record)

    return put


def sides(first: str, second: str, task: str | None = None) -> tuple[Side, Side]:
    return find_sides(first, second, Path("runs"), task)


def names(first: str, second: str, task: str | None = None) -> list[str]:
    return [side.name for side in sides(first, second, task)]


def test_rows_of_one_folder(put: Any) -> None:
    put("a", defense="rift")
    put("b")
    assert names("rift", "standard") == ["rift", "standard"]
    assert list(sides("rift", "standard")[0].cells) == [("genetic", 0)]


def test_options_can_be_left_out_where_one_row_has_the_name(put: Any) -> None:
    put("a", defense="rift", label="rift(alpha=0.3)")
    put("b", defense="given", label="my model (given)")
    assert names("rift", "my model") == ["rift", "my model"]
    assert names("rift(alpha=0.3)", "my model")[0] == "rift(alpha=0.3)"
    put("c", defense="rift", label="rift(alpha=0.5)")
    with pytest.raises(UsageError, match=r"names 2 rows of runs\. Write 'rift\(alpha=0.3\)' or"):
        sides("runs:rift", "my model")
    put("d", defense="rift")
    assert names("rift", "my model") == ["rift", "my model"]


def test_rows_of_two_folders(put: Any) -> None:
    put("a", run="one", defense="rift")
    put("b", run="two", defense="rift")
    put("c", run="two")
    assert names("one", "two:rift") == ["one:rift", "two:rift"]
    assert names("one:rift", "two:standard") == ["rift", "standard"]
    with pytest.raises(UsageError, match=r"'two' holds 2 rows\. Name one .*two:rift, two:standard"):
        sides("one", "two")


def test_equal_short_names_become_whole_labels(put: Any) -> None:
    put("a", run="one", defense="rift", label="rift(alpha=0.3)")
    put("b", run="two", defense="rift", label="rift(alpha=0.5)")
    assert names("one:rift", "two:rift") == ["rift(alpha=0.3)", "rift(alpha=0.5)"]


def test_the_folder_of_the_records_works_as_well(put: Any) -> None:
    put("a", run="one", defense="rift")
    put("b")
    assert names("one/records", "runs/records") == ["rift", "standard"]


def test_a_folder_that_is_also_a_row_is_refused(put: Any) -> None:
    put("a", run="rift", defense="rift")
    put("b", defense="rift")
    put("c")
    with pytest.raises(UsageError, match=r"Write runs:rift for the row, or \./rift for the folder"):
        sides("rift", "standard")
    assert names("runs:rift", "standard") == names("./rift", "standard") == ["rift", "standard"]


def test_unknown_names_list_the_rows(put: Any) -> None:
    put("a", defense="rift")
    with pytest.raises(UsageError, match="Did you mean 'rift'"):
        sides("rifft", "rift")
    with pytest.raises(UsageError, match=r"There is no row 'ascc' in runs\..*Its rows: rift"):
        sides("runs:ascc", "rift")
    with pytest.raises(UsageError, match=r"There is no run in 'nowhere', so 'nowhere:rift'"):
        sides("nowhere:rift", "rift")
    with pytest.raises(UsageError, match="are the same row"):
        sides("rift", "runs:rift")


def test_an_empty_folder_names_the_way_out(put: Any) -> None:
    with pytest.raises(UsageError, match="runs, which holds no record"):
        sides("rift", "standard")


def test_records_that_cannot_be_read_are_no_missing_records(put: Any) -> None:
    put("a", defense="rift")
    (good,) = Path("runs/records").glob("*.json")
    text = good.read_text()
    good.write_text(text[:100])
    for first in ("rift", "runs"):
        with pytest.raises(
            RobenchError, match=r"^1 record of runs cannot be read\..*a\.json.*JSON"
        ):
            sides(first, "standard")
    Path("runs/records/b.json").write_text(text)
    with pytest.raises(UsageError, match=r"Its rows: rift\. 1 record of runs cannot be read\."):
        sides("rifft", "rift")


def test_several_settings_need_one_to_be_named(put: Any) -> None:
    for name in ("rift", "standard"):
        put(f"{name}-1", defense=name)
        put(f"{name}-2", defense=name, limit=3, examples=10)
    with pytest.raises(UsageError, match="Name one: rift@limit=none or rift@limit=3"):
        sides("rift", "standard")
    first, second = sides("rift@limit=3", "standard@limit=3")
    assert {r.limit for side in (first, second) for r in side.cells.values()} == {3}
    # The other row has the setting too, so naming it once is enough.
    assert [r.limit for r in sides("rift@limit=3", "standard")[1].cells.values()] == [3]


def test_the_only_common_setting_is_taken(put: Any) -> None:
    put("a", defense="rift")
    put("b", defense="rift", encoder={"name": "bert", "sha256": "0" * 64})
    put("c")
    assert [r.encoder.name for r in sides("rift", "standard")[0].cells.values() if r.encoder] == [
        "tiny"
    ]


def test_one_row_in_two_settings(put: Any) -> None:
    put("a", defense="rift")
    put("b", defense="rift", encoder={"name": "bert", "sha256": "0" * 64})
    assert names("rift@encoder=tiny", "rift@encoder=bert") == [
        "rift (encoder=tiny)",
        "rift (encoder=bert)",
    ]


def test_the_task_selects(put: Any) -> None:
    for name in ("rift", "standard"):
        put(f"{name}-1", defense=name)
        put(f"{name}-2", defense=name, task={"name": "imdb", "digest": "0" * 64})
    assert names("rift", "standard", "imdb") == ["rift", "standard"]
    with pytest.raises(UsageError, match=r"Name one: rift@task=toy or rift@task=imdb"):
        sides("rift", "standard")
    with pytest.raises(UsageError, match=r"no record in runs with task=sst2\. It has task=imdb or"):
        sides("rift", "standard", "sst2")


@pytest.mark.parametrize("suffix", ["@limits=3", "@limit=", "@task=toy,seed"])
def test_a_wrong_setting_names_the_keys(put: Any, suffix: str) -> None:
    put("a", defense="rift")
    put("b")
    with pytest.raises(UsageError, match=r"is no setting|neither a run's folder"):
        sides(f"rift{suffix}", "standard")


def test_damaged_and_replaced_records_are_told(put: Any, tmp_path: Path) -> None:
    put("a", defense="rift")
    put("b", defense="rift")
    put("c")
    (tmp_path / "runs/records/d.json").write_text("{")
    first, _ = sides("rift", "standard")
    assert any("d.json" in note and "not JSON" in note for note in first.notes)
    assert any("replaced by the newer b.json" in note for note in first.notes)
