"""Which Punkt parameters split texts, and how NLTK's own are accepted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from robench._base.errors import UsageError
from robench.text import punkt as module
from robench.text.punkt import check_punkt, chosen_punkt, is_of_nltk, splitter_version, using_punkt
from robench.text.words import split_words

TEXT = "He met Dr. Zorg etc. Then he left."


def write_nltk_data(folder: Path, abbreviations: tuple[str, ...] = ("etc", "dr")) -> Path:
    """Write Punkt data as NLTK's ``punkt_tab`` has them, with other abbreviations."""
    place = folder / "tokenizers" / "punkt_tab" / "english"
    place.mkdir(parents=True)
    (place / "abbrev_types.txt").write_text("\n".join(abbreviations) + "\n")
    (place / "collocations.tab").write_text("")
    (place / "sent_starters.txt").write_text("")
    (place / "ortho_context.tab").write_text("")
    return folder


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Forget what was read of NLTK's data."""
    for part in (module.sentence_tokenizer, module._version):
        part.cache_clear()
    yield
    for part in (module.sentence_tokenizer, module._version):
        part.cache_clear()
    from robench.text.words import _split_with

    _split_with.cache_clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install NLTK's data in a folder of the test."""
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(write_nltk_data(tmp_path))])
    return tmp_path


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide NLTK's data."""
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])


def test_the_embedded_parameters_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBENCH_PUNKT", raising=False)
    assert chosen_punkt() == "embedded"
    assert not is_of_nltk(splitter_version())


def test_other_parameters_split_otherwise(installed: Path) -> None:
    before = split_words(TEXT)
    with using_punkt("nltk"):
        assert split_words(TEXT) == ["He", "met", "Dr.", "Zorg", "etc.", "Then", "he", "left", "."]
        assert is_of_nltk(splitter_version())
        assert chosen_punkt() == "nltk"
    assert split_words(TEXT) == before != ["He", "met", "Dr.", "Zorg", "etc.", "Then", "he"]
    assert "etc." not in before
    assert chosen_punkt() == "embedded"


def test_the_choice_ends_with_an_error(installed: Path) -> None:
    with pytest.raises(ZeroDivisionError), using_punkt("nltk"):
        raise ZeroDivisionError
    assert chosen_punkt() == "embedded"


def test_the_version_names_the_content_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    found = []
    for number, abbreviations in enumerate([("etc",), ("etc",), ("etc", "dr")]):
        folder = write_nltk_data(tmp_path / str(number), abbreviations)
        monkeypatch.setattr(nltk.data, "path", [str(folder)])
        module._version.cache_clear()
        with using_punkt("nltk"):
            found.append(splitter_version())
    assert found[0] == found[1] != found[2]


def test_missing_data_are_named_in_one_sentence(absent: None) -> None:
    with pytest.raises(UsageError, match=r"punkt_tab.*not installed.*nltk\.downloader"):  # noqa: SIM117
        with using_punkt("nltk"):
            pass
    assert chosen_punkt() == "embedded"


def test_an_unknown_value_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBENCH_PUNKT", "spacy")
    with pytest.raises(UsageError, match="ROBENCH_PUNKT must be embedded or nltk, got 'spacy'"):
        chosen_punkt()


def test_things_made_with_other_parameters_are_refused(installed: Path) -> None:
    ours = splitter_version()
    check_punkt(None, "It")
    check_punkt(ours, "It")
    check_punkt("nltk-3.9+punkt-0123456789abcdef", "It")
    with using_punkt("nltk"):
        theirs = splitter_version()
        check_punkt(theirs, "It")
        with pytest.raises(UsageError, match=r"It was made with .* 'embedded'.*--punkt embedded"):
            check_punkt(ours, "It")
        with pytest.raises(UsageError, match="other Punkt data of NLTK"):
            check_punkt("nltk-3.9+punkt-nltk-0123456789abcdef", "It")
    with pytest.raises(UsageError, match="--punkt nltk, or set ROBENCH_PUNKT=nltk"):
        check_punkt(theirs, "The victim")


@pytest.mark.slow
def test_another_process_splits_in_the_same_way(installed: Path) -> None:
    code = f"import json, robench.text.words as w; print(json.dumps(w.split_words({TEXT!r})))"
    with using_punkt("nltk"):
        wanted = split_words(TEXT)
        answer = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"NLTK_DATA": str(installed)},
            timeout=120,
        )
    assert json.loads(answer.stdout) == wanted
