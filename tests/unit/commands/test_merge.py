"""``robench merge`` and ``--shard`` on the command line: what they refuse and what they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from records import make_record
from trial_runs import TEST_SET, TRIALS, record_of, write_trials

from robench._base.errors import Incomplete
from robench.cli import main
from robench.records.record import Record
from robench.records.run_folder import RunFolder


def robench(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Missing argument"),
        (("a", "b"), "Name the folder of the joined run with --out"),
        (("nowhere",), "There is no folder 'nowhere'"),
    ],
)
def test_what_cannot_be_joined_is_refused(words: tuple[str, ...], sentence: str) -> None:
    found = robench("merge", *words)
    assert found.exit_code == 2
    assert sentence in found.stderr


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    found = robench("merge", str(tmp_path))
    assert found.exit_code == 2
    assert f"There is no shard in '{tmp_path}'" in found.stderr


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "x/y"])
def test_a_wrong_shard_is_refused(shard: str) -> None:
    found = robench("evaluate", "--defense", "standard", "--attack", "pwws", "--shard", shard)
    assert found.exit_code == 2
    assert f"--shard {shard}" in found.stderr or f"--shard '{shard}'" in found.stderr


def test_a_wrong_backend_is_refused() -> None:
    found = robench("evaluate", "--defense", "standard", "--attack", "pwws", "--backend", "rai")
    assert found.exit_code == 2
    assert "'local', 'ray'" in found.stderr


def test_an_address_without_its_backend_is_refused() -> None:
    words = ("--defense", "standard", "--attack", "pwws", "--ray-address", "auto")
    found = robench("evaluate", *words)
    assert found.exit_code == 2
    assert "--ray-address is about --backend ray" in found.stderr


def whole(folder: Path) -> Record:
    record = record_of(TRIALS[:5], TEST_SET, limit=5)
    write_trials(folder, record, TRIALS[:5])
    return record


def test_the_table_of_what_was_joined_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = whole(tmp_path)
    monkeypatch.setattr("robench.evaluation.merging.merge", lambda *_: [record])
    found = robench("merge", str(tmp_path))
    assert found.exit_code == 0, found.stderr
    assert record.row in found.stdout
    assert f"Records:  {RunFolder(tmp_path).records}" in found.stdout


def test_what_is_missing_gives_exit_code_1_and_the_other_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merge(*_: object) -> list[Record]:
        raise Incomplete({"shards that are missing: 2/4": ["a cell"]}, [whole(tmp_path)])

    monkeypatch.setattr("robench.evaluation.merging.merge", merge)
    found = robench("merge", str(tmp_path), "--json")
    assert found.exit_code == 1
    assert "a cell: shards that are missing: 2/4" in found.stderr
    data = json.loads(found.stdout)
    assert len(data["cells"]) == 1
    assert data["failed"] == [{"reason": "shards that are missing: 2/4", "parts": ["a cell"]}]


def test_examples_that_ended_in_an_error_give_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.evaluation.merging.merge", lambda *_: [make_record("HHE")])
    assert robench("merge", str(tmp_path)).exit_code == 1
