"""Certificates, their files, the sandwich and its tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from certified import make_certificate
from pydantic import ValidationError
from records import make_record, sha

from robench._base.errors import RobenchError
from robench.records.certificate_files import (
    find_certificates,
    read_certificate,
    write_certificate,
)
from robench.records.certified_table import (
    alarm_sentences,
    by_positions,
    markdown,
    terminal,
)
from robench.records.leaderboard import render_run
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk
from robench.records.sandwich import Sandwich, covers, sandwich, sandwiches

RULES = {"rules": sha("rules")}


def attacked(outcomes: str, *, attack: str = "genetic", **fields: Any) -> Record:
    surface = RULES | fields.pop("surface", {})
    return make_record(outcomes, attack=attack, surface=surface, **fields)


# -- the certificate -------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    certificate = make_certificate("CFUW", limit=4, examples=10)
    path = tmp_path / "certificates" / certificate.file_name
    assert path.name.startswith("toy-standard-bounds-s0-")
    assert path.name.endswith("-limit-4.json")
    write_certificate(path, certificate)
    assert read_certificate(path) == certificate
    assert json.loads(path.read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"letters": "CX"}, "pattern"),
        ({"positions": (1,)}, "one number of positions"),
        ({"reasons": {"C: enumeration": 1}}, "reasons must add up"),
        ({"error": 0.1}, "probability of error"),
        ({"examples": 3}, "2 letters for 3 examples"),
    ],
)
def test_fields_that_disagree_are_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make_certificate(**({"letters": "CU"} | fields))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "it is not JSON"),
        ("[]", "not valid at 'certificate'"),
        ('{"schema": 2}', "has schema 2, and this robench reads 1. Update robench."),
        ('{"schema": 1}', "not valid at 'key'"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_hides_no_other(
    tmp_path: Path, content: str, sentence: str
) -> None:
    good = make_certificate("CU")
    write_certificate(tmp_path / "good.json", good)
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(RobenchError, match=sentence):
        read_certificate(tmp_path / "bad.json")
    found = find_certificates(tmp_path)
    assert found.certificates == {"good.json": good}
    assert list(found.damaged) == ["bad.json"]


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    (said,) = find_certificates(tmp_path).damaged.values()
    assert "No certificate: " in said
    assert said.endswith(
        "(it is a folder). Move this folder to another place; only files belong here."
    )


def test_a_folder_that_does_not_exist_has_no_certificates(tmp_path: Path) -> None:
    assert not find_certificates(tmp_path / "none").certificates


# -- which records a certificate is about ----------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (attacked("HFH"), True),
        (attacked("HFH", attack="pwws"), False),  # all substitutes, not only the constrained ones
        (attacked("HFH", seed=1), False),
        (attacked("HFH", defense="rift"), False),
        (attacked("HFE"), False),
        (attacked("HFH", searches=False), False),
        (attacked("HFH", surface={"rules": sha("other")}), False),
        (attacked("HFH", surface={"language_model": "masked:other"}), False),
        (attacked("HFH", surface={"outside": True}), False),
        (attacked("HFHH"), False),
        (attacked("HFH", task={"digest": sha("other")}), False),
        (attacked("HFH", protocol="subword"), False),
        (attacked("HFH", protocol="rift2021(unknown=forbidden)"), True),
    ],
)
def test_only_attacks_inside_the_space_of_the_same_victim_count(
    record: Record, expected: bool
) -> None:
    assert covers(make_certificate("CUC"), record) is expected


def test_a_certificate_of_all_substitutes_covers_constrained_attacks() -> None:
    certificate = make_certificate("CUC", constrained=False)
    assert covers(certificate, attacked("HFH"))
    assert covers(certificate, attacked("HFH", attack="pwws"))
    # Without its constraint, the language model does not matter.
    other = attacked("HFH", attack="pwws", surface={"language_model": "none"})
    assert covers(certificate, other)


def test_a_certificate_without_unknown_words_says_nothing_about_them() -> None:
    forbidden = make_certificate(
        "CUC", protocol=make_record("H", protocol="rift2021(unknown=forbidden)").protocol
    )
    assert not covers(forbidden, attacked("HFH"))
    assert covers(forbidden, attacked("HFH", protocol="rift2021(unknown=forbidden)"))


def test_a_victim_smoothed_for_the_certificate_was_never_attacked() -> None:
    certificate = make_certificate("CUC", method="smoothing", smoothed=True)
    assert not covers(certificate, attacked("HFH"))


# -- the sandwich ----------------------------------------------------------------------------------


def test_the_numbers_of_a_sandwich() -> None:
    certificate = make_certificate("CCUFUUW")
    made = sandwich(
        certificate,
        [attacked("HPPFFHW"), attacked("HHHFFHW")],
    )
    # Certified or proved: 0, 1, 2. Not known to be fooled: 0, 1, 2, 5.
    assert (made.certified, made.exact, made.attacked, made.clean) == (2, (3, 4), 4, 6)
    assert made.alarms == ()


def test_a_proof_of_a_part_of_the_space_proves_nothing() -> None:
    certificate = make_certificate("UF", constrained=False)
    made = sandwich(certificate, [attacked("PP")])
    assert made.exact == (0, 1)
    assert made.alarms == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"certificate": {"constrained": False}, "record": {}},
        {"certificate": {}, "record": {"protocol": "rift2021(unknown=forbidden)"}},
    ],
)
def test_an_attack_on_a_part_of_the_space_is_checked_and_is_not_its_accuracy_under_attack(
    fields: dict[str, dict[str, Any]],
) -> None:
    certificate = make_certificate("CCUW", **fields["certificate"])
    (made,) = sandwiches([certificate], [attacked("HFHW", **fields["record"])])
    assert made.attacks == ("genetic",)
    assert made.attacked is None
    # A text of the part that fools the victim is a text of the space.
    assert made.exact == (1, 2)
    assert [alarm.number for alarm in made.alarms] == [1]
    row = next(line for line in terminal([made], None).splitlines() if "│ bounds " in line)
    assert row.strip("│").split("│")[7].strip() == "—"


def test_only_attacks_on_the_whole_space_give_the_accuracy_under_attack() -> None:
    certificate = make_certificate("CUUW", constrained=False)
    part, whole = attacked("HFFW"), attacked("HHFW", attack="pwws")
    (made,) = sandwiches([certificate], [part, whole])
    assert (made.attacks, made.attacked, made.exact) == (("genetic", "pwws"), 2, (1, 1))


def test_without_attacks_the_exact_robustness_lies_between_proofs_and_found_texts() -> None:
    made = sandwich(make_certificate("CUFW"), [])
    assert (made.exact, made.attacked, made.attacks) == ((1, 2), None, ())


def test_statistics_give_no_exact_robustness() -> None:
    assert sandwich(make_certificate("CAUW", method="smoothing"), []).exact is None


def test_an_abstention_is_not_right() -> None:
    made = sandwich(make_certificate("CAUWA", method="smoothing"), [])
    assert (made.certified, made.clean, made.abstained, made.n) == (1, 2, 2, 5)
    text = terminal([made], None)
    (row,) = [line for line in text.splitlines() if "│ smoothing " in line]
    assert row.strip("│ ").split()[-1] == "40.0"
    assert "smoothing, seed 0, language model: abstained on 2 of 5. An abstention counts" in text
    assert "abstained on" not in terminal([sandwich(make_certificate("CUW"), [])], None)


def alarmed(method: str = "bounds") -> Sandwich:
    (made,) = sandwiches(
        [make_certificate("CUCF", method=method)], [attacked("FFWP"), attacked("HHHH", seed=3)]
    )
    return made


def test_certified_but_fooled_is_an_alarm_that_names_the_example() -> None:
    made = alarmed()
    assert [(each.number, each.sentence.split(",")[0]) for each in made.alarms] == [
        (0, "certified but fooled"),
        (2, "certified"),
        (3, "a text that fools the victim was found"),
    ]
    first, second, third = alarm_sentences(made)
    assert "example number 1 of the test set" in first
    assert first.endswith("certified but fooled. One of the two is wrong.")
    assert "wrong on the example itself" in second
    assert "proved to hold" in third


def test_an_alarm_about_random_draws_says_how_both_can_be_right() -> None:
    first = alarm_sentences(alarmed("smoothing"))[0]
    assert "the victim answers from a few: both can be right" in first


# -- tables ----------------------------------------------------------------------------------------


def test_the_table_of_a_terminal() -> None:
    made = sandwiches(
        [
            make_certificate("CUFW"),
            make_certificate("CAUW", method="smoothing", smoothed=True, constrained=False),
        ],
        [attacked("HHFW")],
    )
    text = terminal(made, None)
    row = next(line for line in text.splitlines() if "│ bounds " in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:5] == ["standard", "0", "bounds", "language model", "4"]
    assert cells[5].startswith("25.0 [")
    assert cells[6:] == ["25.0 to 50.0", "50.0", "75.0"]
    smoothed = next(line for line in text.splitlines() if "standard + smoothing" in line)
    assert "all substitutes" in smoothed
    assert smoothed.count("—") == 2
    assert "is another classifier" in text
    assert "at most 0.01" in text
    assert "checked against genetic; no contradiction." in text


def test_a_narrow_terminal_gets_no_broken_line() -> None:
    text = terminal([sandwich(make_certificate("CUFW"), [])], 60)
    assert "certified" in text
    sentences = [line for line in text.splitlines() if line[:1] not in "╭│╰├"]
    assert max(map(len, sentences[:8])) <= 60


def test_the_numbers_by_positions_add_up() -> None:
    certificate = make_certificate("CUFWCU", positions=(0, 1, 2, 60, 4, 4))
    rows = by_positions(certificate)
    assert [row[0] for row in rows] == ["0", "1 to 2", "3 to 4", "50 or more"]
    assert sum(int(row[1]) for row in rows) == 6
    assert rows[2] == ["3 to 4", "2", "1", "0", "1", "0", "0"]


def test_the_markdown_of_a_run_has_a_section_if_there_are_certificates(tmp_path: Path) -> None:
    records = RecordsOnDisk({"a.json": attacked("FHH")}, {})
    assert "Certified beside attacked" not in render_run(records)
    write_certificate(tmp_path / "a.json", make_certificate("CUC"))
    (tmp_path / "b.json").write_text("{")
    text = render_run(records, find_certificates(tmp_path))
    assert "## Certified beside attacked" in text
    assert "certified but fooled" in text
    assert "b.json (it is not JSON: Expecting" in text
    assert not markdown([])


def test_a_changed_certificate_is_refused_and_an_old_one_is_read(tmp_path: Path) -> None:
    path, good = tmp_path / "a.json", make_certificate("CU")
    write_certificate(path, good)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "letters": "CC", "reasons": {"C: enumeration": 2}}))
    with pytest.raises(RobenchError, match=r"was changed after it was written .* certify' again"):
        read_certificate(path)
    del content["seal"]
    path.write_text(json.dumps(content))
    assert read_certificate(path) == good
