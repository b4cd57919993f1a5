"""The conditions below a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from records import GIVEN

from robench.records.columns import board_columns
from robench.records.fresh_draws import FreshDrawsPart
from robench.records.fresh_notes import fresh_lines
from robench.records.meanings import meanings_of_board
from robench.records.notes import conditions
from robench.records.record import Record


def test_disbelieved_claims_are_shown_only_if_there_are_some(
    make_record: Callable[..., Record],
) -> None:
    silent = [make_record("HHF"), make_record("HHF", attack="pwws", disbelieved=None)]
    assert not any("did not confirm" in line for line in conditions(silent))
    lines = [
        line
        for line in conditions([*silent, make_record("HHF", defense="rift", seed=3, disbelieved=2)])
        if "did not confirm" in line
    ]
    assert lines == [
        "Examples that held although the search saw the victim fooled, because the verdict did "
        "not confirm it: rift under genetic, seed 3: 2."
    ]


def test_the_conditions_name_victims_that_robench_did_not_train(
    make_record: Callable[..., Record],
) -> None:
    mapped = {**GIVEN, "label_map": {"POSITIVE": "positive"}}
    called = {**GIVEN, "architecture": None, "max_tokens": None, "repeatable": False}
    records = [
        make_record("HHF"),
        make_record("HHF", victim={"name": "saved", "sha256": "a" * 64}),
        make_record("HHF", given="mine", victim={"sha256": "b" * 64, "given": mapped}),
        make_record(
            "HHF", given="f", victim={"kind": "function", "sha256": "c" * 64, "given": called}
        ),
    ]
    assert [line for line in conditions(records) if line.startswith("Row ")] == [
        "Row f (function): a function, which robench did not train; it has no version, so that no "
        f"later run uses its trials; identity `{'c' * 64}`. Its seeds are those of the search.",
        "Row mine (given): the model 'model', which robench did not train; "
        "BertForSequenceClassification; reads at most 512 tokens; labels: POSITIVE is positive; "
        f"identity `{'b' * 64}`. Its seeds are those of the search.",
        "Row saved: a saved victim of robench, which trained it with standard; weights "
        f"`{'a' * 64}`.",
    ]
    alone = conditions(records[2:])
    assert not any(line.startswith("Encoder") or "pool" in line for line in alone)
    assert "Precision: search fp32, verdict fp32." in alone


def test_the_conditions_say_how_many_examples_have_no_attackable_word(
    make_record: Callable[..., Record],
) -> None:
    records = [
        make_record("HHF", surface={"unattackable": 2}),
        make_record("HHF", attack="pwws", surface={"unattackable": 1}),
        make_record("HHF", attack="old"),
    ]
    assert "Examples without a word that may be replaced: genetic 2 of 3, pwws 1 of 3." in (
        conditions(records)
    )
    assert not any("without a word" in line for line in conditions(records[2:]))


def test_the_conditions_name_another_test_set(make_record: Callable[..., Record]) -> None:
    other = make_record("HHF", task={"test_name": "imdb:frozen-3", "other_test": "imdb"})
    assert conditions([other])[0] == (
        "Task: toy, all 3 test examples (imdb:frozen-3), which come from imdb and not from the "
        "task's own test set, trained on pool 'train'."
    )


def test_the_conditions_name_the_rows_that_answer_at_random(
    make_record: Callable[..., Record],
) -> None:
    plain = make_record("FH")
    assert not [line for line in conditions([plain]) if line.startswith("Randomised")]
    masking = {"kind": "masking", "draws": 16, "answer": "mean", "seed": 0, "rate": 0.7}
    votes = {"kind": "substitution", "draws": 8, "answer": "votes", "seed": 0, "neighbours": 100}
    called = {"kind": "function", "draws": 4}
    records = [
        plain,
        make_record("FH", defense="ranmask", victim={"smoothing": masking}),
        make_record("HH", defense="ranmask", seed=1, victim={"smoothing": masking}),
        make_record("FF", defense="safer", victim={"smoothing": votes}),
        make_record("FF", given="mine", victim={"smoothing": called}),
    ]
    found = [line for line in conditions(records) if line.startswith("Randomised")]
    mean = next(record.row for record in records if record.row_name == "mine")
    assert found == [
        f"Randomised: {mean} (the mean over 4 calls of the function for each text).",
        "Randomised: ranmask (the mean probability of 16 random variants of each text, by "
        "masking).",
        "Randomised: safer (the votes of 8 random variants of each text, by substitution).",
    ]


def test_the_conditions_say_how_often_fooling_texts_fool_with_fresh_variants(
    make_record: Callable[..., Record],
) -> None:
    masking = {"kind": "masking", "draws": 16, "answer": "mean", "seed": 0, "rate": 0.7}
    smoothed = {"victim": {"smoothing": masking}, "defense": "ranmask"}
    measured = [(0, "pwws", 6, 20), (1, "pwws", 4, 25), (0, "genetic", 9, 90)]
    records = [
        make_record("FFH", attack=attack, seed=seed, **smoothed).model_copy(
            update={"fresh_draws": FreshDrawsPart(texts=texts, seeds=10, fooled=fooled)}
        )
        for seed, attack, texts, fooled in measured
    ]
    start = "Fooling texts of ranmask, asked again with fresh variants: "
    assert [line for line in conditions(records) if line.startswith("Fooling")] == [
        f"{start}wrong in 45 % under pwws (45 of 100 answers, 10 texts); too few texts for a "
        "share: genetic 9."
    ]
    assert fresh_lines(records[2:]) == [f"{start}too few texts for a share: genetic 9."]
    with pytest.raises(ValueError, match="21 are more than 2 texts x 10 seeds"):
        FreshDrawsPart(texts=2, seeds=10, fooled=21)


def test_a_substitution_set_of_a_file_has_a_short_hash(make_record: Callable[..., Record]) -> None:
    part = {"substitutions": "set", "substitutions_sha256": "ab" * 32}
    record = make_record("FH", attack="pwws@set.json", surface=part)
    assert "Substitution sets: pwws@set.json set (`abababab`)." in conditions([record])
    named = make_record("FH", surface=part | {"substitutions": "wordnet"})
    assert "Substitution sets: genetic wordnet." in conditions([named])


def test_what_binds_a_search_is_not_said_of_an_attack_without_one(
    make_record: Callable[..., Record],
) -> None:
    """'Constrained: none no' would be read as a sentence about everything."""
    surface = {"substitutions": "set", "substitutions_sha256": "ab" * 32, "unattackable": 1}
    calm = make_record("WHH", attack="none", searches=False, surface=surface)
    text = "\n".join(conditions([calm]))
    assert "Surface: " in text
    for words in ("Constrained by", "Substitution sets", "Examples without a word"):
        assert words not in text
        assert words in "\n".join(conditions([make_record("WHH", surface=surface)]))


def test_a_board_without_a_search_speaks_of_no_worst_case(
    make_record: Callable[..., Record],
) -> None:
    calm = [make_record("WHH", attack="none", searches=False)]
    text = meanings_of_board(board_columns(["none"], calm))
    assert "this table has none" in text
    assert "sorted by clean accuracy" in text
    assert "groups" not in text
    usual = meanings_of_board(board_columns(["genetic"], [make_record("WHH")]))
    assert "right under every attack of the table" in usual
    assert "read the groups" in usual
