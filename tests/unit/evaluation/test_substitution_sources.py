"""The substitution sets that attacks name after ``@``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_cases import Listening
from toy import toy_task

from robench._base.embedded import embedded_path
from robench._base.errors import UsageError
from robench.evaluation.request import build_request
from robench.evaluation.resolve import check_names, resolve_attack
from robench.evaluation.run import evaluate, plan
from robench.evaluation.substitution_sources import SetFinder, check_set, set_label
from robench.protocol import get_protocol
from robench.search.attack import Attack, FreeAttack
from robench.search.registry import ATTACKS
from robench.text.substitutions import load_substitutions

PROTOCOL = get_protocol("rift2021")


@pytest.fixture
def finder() -> SetFinder:
    return SetFinder(None, "tiny", "tiny", "cpu")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"good": ["fine", "solid"]}))
    return path


def test_no_name_means_the_own_set_of_the_task(finder: SetFinder) -> None:
    own = load_substitutions("mini")
    assert finder.find("", "wordnet", [own]) is own


def test_a_file_is_a_set(finder: SetFinder, file: Path) -> None:
    assert finder.find(str(file), "wordnet", []).of_text(("good",), "cased", 1) == {
        0: ("fine", "solid")
    }


def test_the_held_out_set_has_no_pair_of_the_own_one(
    finder: SetFinder, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.json").write_text(json.dumps({"fine": ["good"]}))
    own = load_substitutions(str(tmp_path / "own.json"))
    found = finder.find("held-out", str(file), [own])
    assert found.of_text(("good",), "cased", 1) == {0: ("solid",)}
    assert found.name == "mine without own"


def test_a_set_that_is_trained_on_is_never_held_out(finder: SetFinder, file: Path) -> None:
    with pytest.raises(UsageError, match="so nothing of it is held out"):
        finder.find("held-out", str(file), [load_substitutions(str(file))])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("wordnet", "wordnet"),
        ("held-out", "held-out"),
        ("some/folder/mine.json", "mine.json"),
        ("embeddings:org/model", "embeddings:model"),
        ("masked-lm:C:\\models\\bert\\", "masked-lm:bert"),
    ],
)
def test_a_label_names_no_folder(name: str, shown: str) -> None:
    assert set_label(name) == shown


def test_an_unknown_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"'held-outt'\. Did you mean 'held-out'"):
        check_set("held-outt")


def test_an_attack_on_a_set_keeps_its_registered_name(file: Path) -> None:
    cls = ATTACKS.get("pwws")
    found = resolve_attack(f"pwws@{file}", cls, {}, PROTOCOL)
    assert (found.name, found.label) == ("pwws@mine.json", "pwws@mine.json")
    assert (found.registered, found.substitutions) == ("pwws", str(file))
    plain = resolve_attack("pwws", cls, {}, PROTOCOL)
    assert (plain.name, plain.registered, plain.substitutions) == ("pwws", "pwws", "")
    changed = resolve_attack("genetic@mini", ATTACKS.get("genetic"), {"population": 9}, PROTOCOL)
    assert changed.label == "genetic@mini(population=9)"


def test_an_attack_may_have_a_usual_set() -> None:
    class Usual(Attack):
        substitutions = "masked-lm"

        def search(self, space, oracle, label, rng):  # type: ignore[no-untyped-def]
            return None

    assert resolve_attack("usual", Usual, {}, PROTOCOL).substitutions == "masked-lm"
    assert resolve_attack("usual", Usual, {}, PROTOCOL).label == "usual"
    assert resolve_attack("usual@mini", Usual, {}, PROTOCOL).substitutions == "mini"


def test_an_attack_outside_the_surface_searches_no_set() -> None:
    class Free(FreeAttack):
        def rewrite(self, text, oracle, label, rng):  # type: ignore[no-untyped-def]
            return None

    with pytest.raises(UsageError, match="Attack 'free' writes texts of its own and searches no"):
        resolve_attack("free@mini", Free, {}, PROTOCOL)


@pytest.mark.parametrize(
    ("attack", "sentence"),
    [
        ("pwws@", "'pwws@' names no substitution set after '@'. Write pwws for the task's own"),
        ("pwws@nothing", "There is no substitution set 'nothing'. Known: "),
        ("pwsw@mini", "There is no attack 'pwsw'. Did you mean 'pwws'?"),
        ("pwws@missing.json", "There is no file 'missing.json', and no substitution set. Known: "),
        ("pwws@masked-lm:", "'masked-lm:' names no model after ':'. Write masked-lm for"),
        ("textattack:deepwordbug@held-out", "Attack 'textattack:deepwordbug' writes texts of its"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_read(attack: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_names(build_request(defenses=("standard",), attacks=("genetic", attack)))
    assert str(caught.value).startswith(sentence)


def test_a_folder_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder, and no substitution set"):
        check_set(str(tmp_path))


def test_python_lists_every_set_and_suggests_one(tmp_path: Path) -> None:
    request = build_request(defenses=("standard",), attacks=("pwws@held-oot",), out=tmp_path)
    with pytest.raises(UsageError) as caught:
        evaluate(request, Listening())
    assert str(caught.value) == (
        "There is no substitution set 'held-oot'. Did you mean 'held-out'? Known: counterfitted, "
        "embeddings, held-out, masked-lm, mini, mini-held-out, wordnet, or the path of a JSON file."
    )


def test_an_attack_that_changes_nothing_takes_no_set() -> None:
    with pytest.raises(UsageError, match="'none' changes no word, so it takes no substitution set"):
        resolve_attack("none@held-out", ATTACKS.get("none"), {}, PROTOCOL)


@pytest.mark.parametrize("content", [{}, {"good": []}])
def test_a_set_without_substitutes_is_refused(
    finder: SetFinder, file: Path, content: dict[str, list[str]]
) -> None:
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"mine\.json holds no substitute"):
        finder.find(str(file), "wordnet", [])


@pytest.mark.parametrize(
    "attacks", [("pwws", "pwws@mini"), ("genetic@mini", "genetic"), ("pwws@mini", "pwws@COPY")]
)
def test_two_names_of_one_search_are_refused(tmp_path: Path, attacks: tuple[str, ...]) -> None:
    copy = tmp_path / "copy.json"
    copy.write_bytes(embedded_path("mini_reviews", "substitutions.json").read_bytes())
    attacks = tuple(name.replace("COPY", str(copy)) for name in attacks)
    request = build_request(defenses=("standard",), attacks=attacks, lm="none", out=tmp_path)
    with pytest.raises(UsageError, match="search the same substitution set on mini-reviews, so"):
        plan(request)


def test_one_search_on_one_of_two_tasks_is_told(tmp_path: Path) -> None:
    request = build_request(
        defenses=("standard",),
        attacks=("pwws", "pwws@mini"),
        tasks=("mini-reviews", "toy"),
        lm="none",
        out=tmp_path,
    )
    listening = Listening()
    with toy_task(tmp_path):
        assert len(plan(request, listening)) == 4
    (line,) = [text for text in listening.messages if "the same substitution set" in text]
    assert line.endswith("on mini-reviews, so they give the same results there.")


def test_all_attacks_search_a_set() -> None:
    check_names(build_request(defenses=("standard",), attacks=("all@mini",)))
    with pytest.raises(UsageError, match=r"'minni'\. Did you mean 'mini'"):
        check_names(build_request(defenses=("standard",), attacks=("all@minni",)))
