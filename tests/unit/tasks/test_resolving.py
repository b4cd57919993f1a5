"""Finding a task by a registered name, a file or a hub dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench._base.errors import UsageError
from robench.plugins.registry import UnknownPlugin
from robench.tasks.columns import DataColumns
from robench.tasks.mini_reviews import MiniReviews
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
