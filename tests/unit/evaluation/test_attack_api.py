"""Tests of ``robench.attack`` on small victims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import robench
from robench import UsageError
from robench.search.attack import Verdict


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a victim that was trained briefly."""
    out = tmp_path_factory.mktemp("runs")
    robench.evaluate(
        defenses="standard",
        attacks="random",
        limit=2,
        options={"defense.epochs": 1, "defense.train_examples": 600},
        out=out,
        progress=False,
    )
    return next((out / "victims").iterdir())


TEXTS = [
    "It was a bland evening, but the actor was superb.",
    "The plot bored me and the jokes were dreary.",
    "A charming film, and I loved the music.",
]


def test_one_text_gives_one_result_and_a_list_gives_a_list(victim: Path) -> None:
    one = robench.attack(TEXTS[0], victim)
    several = robench.attack(TEXTS, victim)
    assert isinstance(one, robench.AttackedText)
    assert isinstance(several, list)
    assert [each.original_text for each in several] == TEXTS
    assert (one.verdict, one.adversarial_text) == (several[0].verdict, several[0].adversarial_text)


def test_a_fooled_text_fools_the_loaded_victim(victim: Path) -> None:
    loaded = robench.load_victim(victim)
    found = robench.attack(TEXTS, loaded, "greedy")
    assert isinstance(found, list)
    for each in found:
        assert each.prediction == loaded.predict(each.original_text).label
        if each.verdict == Verdict.FOOLED:
            assert each.adversarial_text is not None
            assert loaded.predict(each.adversarial_text).label == each.adversarial_prediction
            assert each.adversarial_prediction != each.label
    assert any(each.verdict == Verdict.FOOLED for each in found)


def test_a_loaded_victim_is_evaluated_like_its_folder(
    victim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"attacks": "random", "limit": 2, "progress": False}
    monkeypatch.chdir(victim.parent)
    loaded = robench.load_victim(victim.name, "cpu")
    monkeypatch.chdir(tmp_path)
    expected = robench.evaluate(victim, out=tmp_path / "a", **settings).cells
    found = robench.evaluate(loaded, out=tmp_path / "b", **settings).cells
    assert list(found["record"]) == list(expected["record"])
    both = robench.evaluate([loaded, victim], name=("one", "two"), **settings).cells
    assert list(both["fooled"]) == list(expected["fooled"]) * 2


def test_a_loaded_victim_that_came_from_nowhere_is_refused(victim: Path) -> None:
    loaded = robench.load_victim(victim, "cpu")
    bare = robench.LoadedVictim(loaded.victim, loaded.fields, loaded.card)
    with pytest.raises(UsageError, match="Pass its folder or its hub id"):
        robench.evaluate(bare, progress=False)


def test_a_label_makes_a_wrong_prediction_wrong(victim: Path) -> None:
    loaded = robench.load_victim(victim)
    other = next(name for name in loaded.labels if name != loaded.predict(TEXTS[0]).label)
    found = robench.attack(TEXTS[0], loaded, label=other)
    assert isinstance(found, robench.AttackedText)
    assert found.verdict == Verdict.WRONG


def test_the_print_marks_the_changes(victim: Path) -> None:
    found = robench.attack(TEXTS, victim, "greedy")
    assert isinstance(found, list)
    fooled = next(each for each in found if each.verdict == Verdict.FOOLED)
    change = fooled.changes[0]
    assert str(fooled).startswith("fooled: ")
    assert f"[[{change.original}->{change.substitute}]]" in str(fooled)
    assert fooled._repr_html_().startswith("<pre>fooled: ")
    assert "-&gt;" in fooled._repr_html_()


def test_fields_can_be_named(victim: Path) -> None:
    found = robench.attack({"text": TEXTS[0]}, victim)
    assert isinstance(found, robench.AttackedText)
    assert found.original_text == TEXTS[0]


def test_forbidden_substitutes_are_never_tried(victim: Path, tmp_path: Path) -> None:
    """Of the two substitutes, the victim reads one as its unknown token."""
    words = tmp_path / "words.json"
    words.write_text('{"bland": ["zxqvw", "superb"]}')
    settings: dict[str, Any] = {"substitutions": str(words), "lm": "none", "attack": "exhaustive"}
    free = robench.attack(TEXTS[0], victim, **settings)
    bound = robench.attack(TEXTS[0], victim, unknown="forbidden", **settings)
    assert isinstance(free, robench.AttackedText)
    assert isinstance(bound, robench.AttackedText)
    # The text itself is asked about, too.
    assert (free.asked, bound.asked) == (3, 2)
    named = robench.attack(TEXTS[0], victim, protocol="rift2021(unknown=forbidden)", **settings)
    assert isinstance(named, robench.AttackedText)
    assert (named.asked, named.changes) == (bound.asked, bound.changes)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "The text is empty"),
        (("a", "b"), {}, r"has 1 fields \(text\), but 2 came"),
        ({"body": "a"}, {}, r"has the fields text, each a string. These came: body"),
        ("good", {"attack": "pwvs"}, r"no attack 'pwvs'. Did you mean 'pwws'\?"),
        ("good", {"label": "neutral"}, "There is no label 'neutral'. The victim has negative"),
        ("good", {"protocol": "subword"}, "trained with protocol"),
        ("good", {"options": {"populaton": 3}, "attack": "genetic"}, "populaton"),
        ("good", {"substitutions": "nothing"}, "nothing"),
        ("good", {"unknown": "no"}, "unknown='no': choose one of allowed, forbidden"),
        ("good", {"protocol": "rift2021(temperature=dev)"}, "single texts have none"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    victim: Path, text: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        robench.attack(text, victim, **settings)


def test_a_victim_that_does_not_exist_is_told() -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        robench.attack("good", "./nothing")


def test_a_victim_of_own_data_knows_its_substitutions(tmp_path: Path) -> None:
    splits = robench.TASKS.get("mini-reviews")().load(robench.DataSource())
    rows = [f"{example.fields['text']}\t{example.label}" for example in splits.train[:300]]
    path = tmp_path / "reviews.tsv"
    path.write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    robench.evaluate(
        defenses="standard",
        task=path,
        substitutions="mini",
        attacks="random",
        limit=2,
        options={"defense.epochs": 1},
        out=tmp_path / "runs",
        progress=False,
    )
    folder = next((tmp_path / "runs" / "victims").glob("standard-*"))
    # Without the card's set, this would look for the published one, which is not here.
    found = robench.attack(TEXTS[0], folder, data=tmp_path)
    assert isinstance(found, robench.AttackedText)
    assert found.asked > 0


def even_length(texts: list[str]) -> list[list[float]]:
    """A classifier whose answer depends on the number of letters of a text."""
    return [[0.9, 0.1] if len(text) % 2 == 0 else [0.2, 0.8] for text in texts]


def test_a_function_is_attacked_by_the_names_of_its_classes() -> None:
    found = robench.attack(
        TEXTS, even_length, "greedy", labels=["even", "odd"], substitutions="mini", lm="none"
    )
    assert isinstance(found, list)
    for each in found:
        assert each.label == ("even" if len(each.original_text) % 2 == 0 else "odd")
        assert each.adversarial_text is not None
        assert (len(each.original_text) - len(each.adversarial_text)) % 2 == 1


def test_a_function_reads_pairs_where_every_text_is_one() -> None:
    def second_decides(pairs: list[tuple[str, str]]) -> list[list[float]]:
        return even_length([second for _, second in pairs])

    found = robench.attack(
        ("A film.", TEXTS[0]),
        second_decides,
        "greedy",
        labels=["even", "odd"],
        substitutions="mini",
        lm="none",
    )
    assert isinstance(found, robench.AttackedText)
    assert found.fields["text"] == "A film."
    assert found.verdict == Verdict.FOOLED


@pytest.mark.parametrize(
    ("victim", "more", "message"),
    [
        (3, {}, r"^'victim' is int. Give a folder, a hub id, what robench.load_victim returned"),
        (None, {}, r"^'victim' is NoneType. Give a folder"),
        (even_length, {}, "^A function needs 'labels'"),
        (even_length, {"labels": "ab"}, "^'labels' is of the type str. Give a list"),
        ("runs", {"labels": ["a", "b"]}, "^'labels' are those of a function, and 'victim' is none"),
    ],
)
def test_what_is_no_victim_is_refused(victim: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        robench.attack("A film.", victim, **more)
