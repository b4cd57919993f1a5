"""What a process of another machine does with the files and the plan that it gets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from fake_victims import linear_jobs, load_linear

from robench import ATTACKS
from robench._base.errors import RobenchError
from robench.evaluation import remote_work
from robench.evaluation.remote_work import (
    Problem,
    Searcher,
    digest_of_files,
    files_of,
    folder_here,
    own_cache,
    victim_folder,
    write_folder,
)
from robench.models.given.source import GivenSource
from robench.search.attack import Trial
from robench.search.engine import run
from robench.search.settings import SearchSettings
from robench.search.workers import WorkerPlan

FILES = {"a.json": b"{}", "tokenizer/vocab.txt": b"a\nb\n"}


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_folder_arrives_as_it_was(tmp_path: Path) -> None:
    write_folder(FILES, tmp_path / "there" / "victim")
    assert files_of(tmp_path / "there" / "victim") == FILES
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["victim"]


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", ""])
def test_a_file_cannot_lie_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(RobenchError, match="is refused"):
        write_folder({"first": b"", name: b""}, tmp_path / "victim")
    assert not (tmp_path / "victim").exists()
    assert not (tmp_path / "out").exists()


def test_the_digest_covers_names_and_content() -> None:
    digests = {
        digest_of_files(FILES),
        digest_of_files({**FILES, "a.json": b"[]"}),
        digest_of_files({"b.json": b"{}", "tokenizer/vocab.txt": b"a\nb\n"}),
    }
    assert len(digests) == 3
    assert digest_of_files(dict(reversed(FILES.items()))) in digests


def test_the_files_are_written_once_for_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    first = folder_here(FILES, "v")
    monkeypatch.setattr(remote_work, "write_folder", None)
    assert folder_here(FILES, "v") == first
    assert files_of(first) == FILES


def test_only_the_user_sees_the_folder_of_victims() -> None:
    assert stat.S_IMODE(own_cache().stat().st_mode) == 0o700


def test_a_folder_that_others_may_change_is_not_used() -> None:
    own_cache().chmod(0o777)
    with pytest.raises(RobenchError, match="may be written by others"):
        own_cache()


def test_a_given_model_is_found_by_its_folder(tmp_path: Path) -> None:
    source = GivenSource(str(tmp_path), ("n", "p"), ("text",), "text")
    assert victim_folder(source) == tmp_path


def test_a_model_that_is_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = GivenSource("nobody/nothing", ("n", "p"), ("text",), "text")
    with pytest.raises(RobenchError, match="not in the cache of this machine"):
        victim_folder(source)


def test_a_searcher_gives_the_trials_of_one_process(tmp_path: Path) -> None:
    jobs = linear_jobs(6, words=3)
    searcher = Searcher(plan(tmp_path), FILES, "v")
    assert searcher.load() is None
    found = [*searcher.attack(jobs[:4]), *searcher.attack(jobs[4:])]
    assert searcher.finish() is None
    assert by_id(found) == by_id(list(run(load_linear(), ATTACKS.get("pwws")(), "pwws", jobs)))


def test_a_searcher_tells_why_it_cannot_load(tmp_path: Path) -> None:
    found = Searcher(plan(tmp_path, attack="nothing-like-this"), FILES, "v").load()
    assert isinstance(found, Problem)
    assert "nothing-like-this" in found.sentence


def plan(folder: Path, attack: str = "pwws") -> WorkerPlan:
    return WorkerPlan(folder, attack, settings=SearchSettings(), load=load_linear)


def by_id(trials: list[Trial | Problem]) -> dict[str, Trial]:
    return {
        each.id: each.model_copy(update={"seconds": 0.0})
        for each in trials
        if isinstance(each, Trial)
    }
