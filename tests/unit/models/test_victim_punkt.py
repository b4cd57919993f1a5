"""A victim is read with the sentence parameters that it was trained with, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from saved_victims import victim

from robench._base.errors import UsageError
from robench.models.victim import Victim
from robench.sharing.tokenizer import RobenchTokenizer
from robench.text.punkt import splitter_version

OF_NLTK = "nltk-3.9+punkt-nltk-0123456789abcdef"


def saved(folder: Path, splitter: str | None) -> Path:
    made = victim() if splitter is None else victim(ingredients={"splitter": splitter})
    made.save(folder)
    return folder


def test_a_victim_of_nltks_parameters_needs_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"The victim in .* 'nltk', .*--punkt nltk"):
        Victim.load(saved(tmp_path / "victim", OF_NLTK))


def test_transformers_classes_need_them_too(tmp_path: Path) -> None:
    from robench.models.hub_model import RobenchConfig

    folder = saved(tmp_path / "victim", OF_NLTK)
    config = RobenchConfig.from_json_file(folder / "config.json")
    with pytest.raises(UsageError, match="This victim was made with"):
        RobenchTokenizer(victim().tokenizer, config)


@pytest.mark.parametrize("splitter", [None, splitter_version(), "nltk-3.8+punkt-0123456789abcdef"])
def test_other_victims_are_read(tmp_path: Path, splitter: str | None) -> None:
    folder = saved(tmp_path / "victim", splitter)
    assert Victim.load(folder).name == "standard"
    # Their files stay as they were.
    assert "splitter" not in (folder / "config.json").read_text()
