"""Finding a task by a registered name, a file or a hub dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_data import reviews, write_rows

from robench._base.errors import UsageError
from robench.plugins.registry import UnknownPlugin
from robench.tasks.columns import DataColumns
from robench.tasks.mini_reviews import MiniReviews
from robench.tasks.own.task import OwnTask
from robench.tasks.resolving import check_tasks, find_task, is_own_data, task_name


def test_a_registered_name_gives_the_registered_class() -> None:
    assert find_task("mini-reviews") is MiniReviews
    assert find_task("mini-reviews", DataColumns(text="body")) is MiniReviews


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("imdb", "imdb"),
        ("reviews.csv", "reviews.csv"),
        ("some/where/My reviews+2.TSV", "My_reviews_2.TSV"),
        ("hf:org/name", "hf-org-name"),
        ("hf:org/name/config", "hf-org-name-config"),
    ],
)
def test_the_name_of_a_task_can_stand_in_a_file_name(typed: str, name: str) -> None:
    assert task_name(typed) == name
    assert is_own_data(typed) == (typed != "imdb")


def test_a_task_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownPlugin, match="imdb"):
        check_tasks(["imbd"])


def test_an_option_about_files_needs_a_file() -> None:
    columns = DataColumns(text="body", test_file=Path("x.csv"))
    with pytest.raises(UsageError, match=r"--text-column, --test-file: .* imdb is no file"):
        check_tasks(["imdb"], columns)
    check_tasks(["imdb"], DataColumns())


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no\.csv: there is no such file in"):
        check_tasks(["no.csv"])
    with pytest.raises(UsageError, match="is no name of a dataset"):
        check_tasks(["hf:a/b/c/d"])


def test_a_file_of_another_kind_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "reviews.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(UsageError, match="Save a spreadsheet as csv"):
        check_tasks([str(path)])


def test_two_files_of_one_name_and_files_of_several_tasks_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv", tmp_path / "b" / "y.csv"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("text,label\n")
    names = [str(path) for path in paths]
    with pytest.raises(UsageError, match="would have the same name in tables"):
        check_tasks(names[:2])
    check_tasks(names[1:])
    with pytest.raises(UsageError, match="belong to one task, and there are several"):
        check_tasks(names[1:], DataColumns(test_file=paths[0]))


def test_a_file_gives_a_class_of_its_own(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "reviews.csv", reviews())
    task = find_task(str(path))
    assert task.labels == ("negative", "positive")
    assert issubclass(task, OwnTask)
    assert task.own.name == "reviews.csv"
