"""``robench.compare`` on records and trials made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import UsageError
from robench.records.compared import Differing, Substitution
from robench.records.comparison import RowComparison, compare
from robench.records.comparison_text import markdown, terminal
from robench.records.record import LETTERS, Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.statistics import tango
from robench.records.statistics_seeds import Pair, resample
from robench.search.attack import Change, Trial
from robench.search.trials import TrialFile

MakeRecord = Callable[..., Record]
Words = Mapping[int, Sequence[tuple[str, str]]]
VERDICT = {letter: verdict for verdict, letter in LETTERS.items()}


@pytest.fixture
def put(tmp_path: Path, make_record: MakeRecord) -> Callable[..., Record]:
    """Return a function that writes a record and, with ``words``, its trials."""

    def put(
        outcomes: str, *, run: str = "runs", words: Words | None = None, **values: Any
    ) -> Record:
        record = make_record(outcomes, **values)
        folder = RunFolder(tmp_path / run)
        write_record(folder.records / record.file_name, record)
        if words is not None:
            # The trials end in an order of their own.
            with TrialFile(folder.trials_file(record.cell_name), cell=record.cell) as file:
                for number in reversed(range(len(outcomes))):
                    changes = tuple(
                        Change(position=i, original=old, substitute=new)
                        for i, (old, new) in enumerate(words.get(number, ()))
                    )
                    file.append(
                        Trial(
                            id=str(number),
                            verdict=VERDICT[outcomes[number]],
                            label=0,
                            prediction=0,
                            changes=changes,
                        )
                    )
        return record

    return put


def run(tmp_path: Path, *names: str, **values: Any) -> RowComparison:
    first, second = names or ("rift", "standard")
    return compare(first, second, out=tmp_path / "runs", **values)


def test_one_attack_by_hand(tmp_path: Path, put: Callable[..., Record]) -> None:
    """Check 7 of 10 against 3 of 10, with 5 and 1 discordant examples.

    p = 2 (C(6,0) + C(6,1)) / 2^6 = 14 / 64 = 0.219. The table also tests the clean accuracy, so
    Holm doubles it.
    """
    put("HHHHHHHFFF", defense="rift", attack="pwws")
    put("HHFFFFFHFW", attack="pwws")
    result = run(tmp_path)
    clean, pwws = result.measures
    (pair,) = pwws.pairs
    assert (pair.right_first, pair.right_second, pair.only_first, pair.only_second) == (7, 3, 5, 1)
    assert pair.p_value == pytest.approx(14 / 64)
    assert pwws.difference == pytest.approx(0.4)
    assert pwws.interval == tango(5, 1, 10)
    assert pwws.spread is None
    assert (clean.first, clean.second) == (1.0, 0.9)
    low, high = (f"{100 * bound:+.1f}" for bound in tango(5, 1, 10))
    assert str(result) == (
        "Under pwws, rift is right on 7 of 10 examples and standard on 3: 40.0 points more, "
        f"95 % interval [{low}, {high}], exact McNemar p = 0.438 (Holm, 2 tests), n = 10, task toy."
    )


def test_the_other_order_has_the_other_sign(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHHHHHHFFF", defense="rift")
    put("HHFFFFFHFW")
    ours, theirs = run(tmp_path).main, run(tmp_path, "standard", "rift").main
    assert theirs.difference == -ours.difference
    assert theirs.interval == pytest.approx([-bound for bound in reversed(ours.interval)])
    assert "40.0 points less" in str(run(tmp_path, "standard", "rift"))


def test_the_sentence_says_what_the_row_that_is_ahead_lost_without_an_attack(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("WWHHHHHHHH", defense="rift")
    put("HHFFFFFFFF")
    low, high = (f"{100 * bound:+.1f}" for bound in tango(0, 2, 10))
    for names in (("rift", "standard"), ("standard", "rift")):
        assert "Without an attack, rift is right on 20.0 points fewer (diff" in str(
            run(tmp_path, *names)
        )
    assert f"(difference [{low}, {high}])." in str(run(tmp_path))
    # No row paid for being ahead here.
    put("HHHHHHHHHH", defense="ascc")
    assert "Without an attack" not in str(run(tmp_path, "ascc", "standard"))
    assert "Without an attack" not in str(run(tmp_path, "ascc", "rift"))


def test_both_p_values_are_in_the_data(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHHHHHHFFF", defense="rift", attack="pwws")
    put("HHFFFFFHFW", attack="pwws")
    measure = run(tmp_path).to_dict()["measures"][1]
    assert (measure["p_value"], measure["p_value_holm"]) == pytest.approx((14 / 64, 28 / 64))
    assert measure["seeds"][0]["p_value"] == pytest.approx(14 / 64)


def test_equal_rows_show_no_difference(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHFF", defense="rift")
    put("HHFF")
    result = run(tmp_path)
    assert "no difference, 95 % interval [" in str(result)
    assert "p = 1.000" in str(result)
    assert result.differing == ()
    assert "Right only in rift under genetic: 0 examples." in terminal(result, None)


def test_the_worst_case_is_the_main_measure(tmp_path: Path, put: Callable[..., Record]) -> None:
    """Check the worst cases HHFF of rift and FFFH of standard."""
    put("HHHF", defense="rift")
    put("HHFH", defense="rift", attack="pwws")
    put("FHFH")
    put("HFFH", attack="pwws")
    result = run(tmp_path)
    assert [each.kind for each in result.measures] == ["clean", "attack", "attack", "worst"]
    (pair,) = result.main.pairs
    assert (pair.right_first, pair.right_second, pair.only_first, pair.only_second) == (2, 1, 2, 1)
    assert str(result).startswith("Under the worst case of genetic and pwws, rift is right on 2 of")
    assert [(e.position, e.first, e.second) for e in result.differing] == [
        (0, 1, 0),
        (1, 1, 0),
        (3, 0, 1),
    ]
    assert "The language model does not bind pwws, and it binds the others." in result.notes
    only = run(tmp_path, attack="pwws")
    assert str(only).startswith("Under pwws, rift is right on 3 of 4 examples and standard on 2")
    assert [each.kind for each in only.measures] == ["clean", "attack"]


def test_seeds_are_shown_one_by_one_and_tested_together(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    """Check differences of 0.4 and 0.2 of 10 examples."""
    put("HHHHHHHFFF", defense="rift", seed=0)
    put("HHHFFFFFFF", seed=0)
    put("HHHHFFFFFF", defense="rift", seed=1)
    put("HFFFHFFFFF", seed=1)
    put("HHHHHHHHHH", seed=2)
    result = run(tmp_path)
    main = result.main
    assert [pair.seeds for pair in main.pairs] == [(0, 0), (1, 1)]
    assert [(pair.only_first, pair.only_second) for pair in main.pairs] == [(4, 0), (3, 1)]
    assert main.difference == pytest.approx(0.3)
    assert main.spread == pytest.approx(0.02**0.5)
    both = Pair(*resample([["HHHHHHHFFF", "HHHHFFFFFF"], ["HHHFFFFFFF", "HFFFHFFFFF"]]))
    assert (main.interval, main.p_value) == (both.interval, both.p_value)
    assert "(means of 2 seeds): 30.0 ± 14.1 points more" in str(result)
    assert both.interval == pytest.approx((0, 0.7))
    # Holm corrects for the two measures.
    assert "95 % interval [0.0, +70.0] over seeds and examples, p = " in str(result)
    assert f"p = {2 * both.p_value:.3f} (Holm, 2 tests)" in str(result)
    assert "Seeds of standard without a partner are left out: 2." in result.warnings
    text = terminal(result, None)
    assert "The line of one seed is about this training only and has no p-value." in text
    assert " mean " in text
    assert [(e.position, e.first, e.second) for e in result.differing][:1] == [(3, 2, 0)]


def test_one_seed_each_is_paired_with_a_warning(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHHF", defense="rift", seed=3)
    put("HHFF", seed=0)
    result = run(tmp_path)
    assert result.main.pairs[0].seeds == (3, 0)
    assert "The seeds differ: 3 and 0." in result.warnings


def test_words_and_ids_come_from_the_trials(tmp_path: Path, put: Callable[..., Record]) -> None:
    """Count `good -> fine` twice: example 3 fooled rift as well and does not count."""
    put("HHHFF", defense="rift", words={3: [("good", "fine")], 4: [("bad", "poor")]})
    good = [("good", "fine")]
    put("HFFFH", words={1: [*good, ("film", "movie")], 2: good, 3: good})
    result = run(tmp_path)
    assert result.fooled_second == (
        Substitution("good", "fine", 2),
        Substitution("film", "movie", 1),
    )
    assert result.fooled_first == (Substitution("bad", "poor", 1),)
    assert result.differing == (
        Differing("1", 1, 1, 0),
        Differing("2", 2, 1, 0),
        Differing("4", 4, 0, 1),
    )
    text = terminal(result, None)
    assert "Right only in rift under genetic: 2 examples:\n- 1\n- 2\n" in text
    assert "Right only in standard under genetic: 1 example:\n- 4\n" in text
    assert (
        "Substitutions that fooled standard where rift held: good → fine (2×), film → movie (1×)."
    ) in text


def test_an_example_counts_once_in_the_words_of_the_worst_case(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    for attack in ("genetic", "pwws"):
        put("HH", defense="rift", attack=attack, words={})
        put("FH", attack=attack, words={0: [("good", "fine")]})
    assert run(tmp_path).fooled_second == (Substitution("good", "fine", 1),)


def test_trials_that_do_not_fit_their_record_are_not_used(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("HHF", defense="rift")
    record = put("HFF", words={1: [("good", "fine")]})
    path = RunFolder(tmp_path / "runs").trials_file(record.cell_name)
    path.write_text(path.read_text().replace("fooled", "held", 1))
    result = run(tmp_path)
    assert result.fooled_second == ()
    assert result.differing == (Differing(None, 1, 1, 0),)
    assert "- number 2\n" in terminal(result, None)
    assert "The ids are not known" in terminal(result, None)
    # A line without its trial is damage, so the others do not fit the record.
    assert [each for each in result.warnings if "are not used" in each] == [
        f"The trials in {path} do not fit {record.file_name} (line 2 is damaged: its seal does not "
        "fit). They are not used, and the numbers of the record are claims."
    ]


def test_trials_of_another_cell_are_told_and_not_used(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("HHF", defense="rift")
    record = put("HFF")
    path = RunFolder(tmp_path / "runs").trials_file(record.cell_name)
    path.parent.mkdir(exist_ok=True)
    with TrialFile(path, cell="0" * 64) as file:
        file.append(Trial(id="0", verdict=VERDICT["H"], label=0, prediction=0))
    (problem,) = (each for each in run(tmp_path).warnings if "are not used" in each)
    assert "holds the trials of another cell" in problem
    assert problem.endswith("the numbers of the record are claims.")


def test_rows_on_different_examples_are_paired_by_id(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    """Check a limited run of 3 examples against a whole run of 5."""
    put("HHF", defense="rift", limit=3, examples=5, words={})
    put("HFHHH", words={})
    result = run(tmp_path)
    assert result.main.pairs[0].examples == 3
    assert (result.main.pairs[0].only_first, result.main.pairs[0].only_second) == (1, 1)
    assert "The numbers of judged examples differ: 3 and 5." in result.warnings


def test_rows_on_different_examples_need_one_substitution_set(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    """Check that other examples, whose key differs anyway, do not hide other substitutes."""
    ours = {"key": "0" * 64, "rules": "0" * 64}
    put("HHF", defense="rift", limit=3, examples=5, words={}, surface=ours)
    put("HFHHH", words={}, surface={"rules": "1" * 64})
    with pytest.raises(UsageError, match="such as the substitution set, differ"):
        run(tmp_path)
    put("HFHHH", words={}, surface={"rules": "0" * 64})
    assert run(tmp_path).main.pairs[0].examples == 3


def test_rows_on_different_examples_need_their_trials(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("HHF", defense="rift", limit=3, examples=5)
    put("HFHHH")
    with pytest.raises(UsageError, match="judge different examples, and the trials"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"task": {"name": "imdb"}}, "The tasks differ: toy and imdb."),
        ({"surface": {"key": "0" * 64}}, "The surfaces differ."),
        (
            {"surface": {"rules": "0" * 64}},
            "The rules of the surfaces, such as the substitution set, differ.",
        ),
        (
            {"surface": {"language_model": "none"}},
            "The language models of the constraint differ: masked:tiny and none.",
        ),
    ],
)
def test_another_task_surface_or_language_model_is_refused(
    tmp_path: Path, put: Callable[..., Record], values: dict[str, Any], reason: str
) -> None:
    put("HHF", defense="rift", surface={"rules": "1" * 64})
    put("HFF", **{"surface": {"rules": "1" * 64}, **values})
    with pytest.raises(UsageError) as caught:
        run(tmp_path)
    assert str(caught.value) == (
        f"rift and standard must not be compared under genetic. {reason} Evaluate both rows in "
        "the same setting."
    )


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"encoder": {"name": "bert"}}, "The encoders differ: tiny and bert."),
        (
            {"protocol": "subword", "surface": {"key": "0" * 64, "language_model": "none"}},
            "The protocols differ: rift2021 and subword.",
        ),
        ({"search": {"budget": 9}}, "The query budgets differ: none and 9."),
        ({"version": "0.2.0"}, "The versions of robench differ: 0.1.0 and 0.2.0."),
        ({"attack_code": "0" * 64}, "The versions of the attack's code differ."),
        (
            {"search": {"code_sha256": "0" * 64}},
            "The versions of the search's code differ.",
        ),
        ({"task": {"train_pool": "small"}}, "The pools of training examples differ: train and"),
    ],
)
def test_what_may_differ_on_purpose_gives_a_warning(
    tmp_path: Path, put: Callable[..., Record], values: dict[str, Any], warning: str
) -> None:
    put("HHF", defense="rift")
    put("HFF", **values)
    result = run(tmp_path)
    assert [each for each in result.warnings if each.startswith(warning)]
    assert f"> Warning: {warning}" in markdown(result)
    assert escape(warning) in result._repr_html_()


def test_equal_settings_give_no_warning(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHF", defense="rift")
    put("HFF")
    assert run(tmp_path).warnings == ()


def test_a_failed_cell_has_no_number_and_the_others_stay(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("HHF", defense="rift")
    put("HHE", defense="rift", attack="pwws")
    put("HFF")
    put("HFF", attack="pwws")
    result = run(tmp_path)
    assert [each.attacks for each in result.measures] == [(), ("genetic",)]
    assert any(each.startswith("No number for pwws:") for each in result.warnings)
    assert any(each.startswith("No number for worst case:") for each in result.warnings)


def test_attacks_that_only_one_row_has_are_named(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("HHF", defense="rift")
    put("HHF", attack="pwws")
    with pytest.raises(UsageError, match="no attack in common: rift has genetic, and standard has"):
        run(tmp_path)
    put("HHF")
    with pytest.raises(UsageError, match=r"'pwws' has no record for rift\. .*both have: genetic"):
        run(tmp_path, attack="pwws")
    with pytest.raises(UsageError, match="Did you mean 'genetic'"):
        run(tmp_path, attack=["genetics"])


def test_outside_attacks_stay_out_of_the_worst_case(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    for defense in ("rift", "standard"):
        put("HHF", defense=defense)
        put("HFF", defense=defense, attack="pwws")
        put("FFF", defense=defense, attack="free", surface={"outside": True, "constrained": False})
    result = run(tmp_path)
    assert result.main.attacks == ("genetic", "pwws")
    assert ("free",) in [each.attacks for each in result.measures]
    assert any("Outside the surface" in note and "free" in note for note in result.notes)


def test_an_attack_that_searches_for_nothing_is_not_the_worst_case(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    for defense in ("rift", "standard"):
        put("HHF", defense=defense)
        put("HHH", defense=defense, attack="nothing", searches=False)
    result = run(tmp_path)
    assert (result.main.kind, result.main.attacks) == ("attack", ("genetic",))
    # Under 'nothing' the accuracy is the clean one, so it is no test of its own.
    assert [each.attacks for each in result.measures] == [(), ("genetic",)]


def test_without_a_search_only_the_clean_accuracy_is_tested(
    tmp_path: Path, put: Callable[..., Record]
) -> None:
    put("HHHHHHW", defense="rift", attack="nothing", searches=False)
    put("WWWWWHH", attack="nothing", searches=False)
    result = run(tmp_path)
    assert [each.kind for each in result.measures] == ["clean"]
    sentence = result.to_dict()["sentence"]
    assert sentence.startswith("Without an attack, rift is right on 6 of 7 examples")
    assert "Holm" not in sentence


def test_plain_data_holds_every_number(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHHHHHHFFF", defense="rift")
    put("HHFFFFFHFW")
    data = json.loads(json.dumps(run(tmp_path).to_dict()))
    measure = data["measures"][1]
    assert (data["first"], data["second"], data["task"]) == ("rift", "standard", "toy")
    assert measure["difference"] == pytest.approx(0.4)
    assert measure["seeds"][0]["only_first"] == 5
    assert len(data["differing"]) == 6
    assert data["sentence"] == measure["sentence"]


def test_html_is_escaped(tmp_path: Path, put: Callable[..., Record]) -> None:
    put("HHF", defense="x", label="<b>")
    put("HFF")
    shown = run(tmp_path, "<b>", "standard")._repr_html_()
    assert "<b><b>" not in shown
    assert "&lt;b&gt;" in shown
