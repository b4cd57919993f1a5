"""The script that trains the shipped Punkt parameters."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SENTENCES = (
    "The film by Mr. Smith was shown at 8 p.m. on Friday. "
    "It was good. Prof. Jones liked it too. They left early. "
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("train/pos", "train/neg", "train/unsup", "test/pos", "test/neg"):
        (tmp_path / "aclImdb" / folder).mkdir(parents=True)
    for number in range(30):
        (tmp_path / "aclImdb" / "train/unsup" / f"{number}_0.txt").write_text(
            f"Review {number}. " + SENTENCES * (1 + number % 3), encoding="utf-8"
        )
    (tmp_path / "aclImdb" / "test/pos" / "0_9.txt").write_text(
        "Review 3. " + SENTENCES, encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delenv("ROBENCH_DATA", raising=False)
    from scripts.train_punkt import main

    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["train_punkt", *map(str, arguments)])
        main()

    return run


def test_the_script_writes_sorted_parameters(
    data: Path, run: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run("--data", data, "--reviews", 20, "--rare", 2, "--out", data / "one.json")
    # The review that equals a test review is dropped.
    assert "29 unlabelled reviews kept" in caplog.text
    assert "training on 20" in caplog.text
    found = json.loads((data / "one.json").read_text(encoding="utf-8"))
    assert sorted(found) == ["abbreviations", "collocations", "orthography", "sentence_starters"]
    for name in ("abbreviations", "collocations", "sentence_starters"):
        assert found[name] == sorted(found[name])
    assert {"mr", "prof", "p.m"} <= set(found["abbreviations"])
    assert any("film" in words for words in found["orthography"].values())


def test_the_data_folder_can_come_from_the_environment(
    data: Path, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBENCH_DATA", str(data))
    run("--out", data / "two.json")
    assert (data / "two.json").is_file()


def test_without_data_the_error_says_what_to_name(
    tmp_path: Path, run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("--out", tmp_path / "three.json")
    assert stopped.value.code == 2
    assert "name the data folder with --data or ROBENCH_DATA" in capsys.readouterr().err


def test_the_shipped_file_has_the_form_that_the_script_writes() -> None:
    text = (ROOT / "robench" / "embedded" / "punkt" / "english.json").read_text(encoding="utf-8")
    data = json.loads(text)
    assert text == json.dumps(data, ensure_ascii=False, indent=0, sort_keys=True) + "\n"
    assert {"mr", "dr", "e.g"} <= set(data["abbreviations"])
    assert len(text) < 500_000
