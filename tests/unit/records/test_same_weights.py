"""One training that is counted as several."""

from __future__ import annotations

from pathlib import Path

from certified import make_certificate
from records import make_record, sha

from robench.records.leaderboard import render_run
from robench.records.record import Record
from robench.records.record_files import find_records, write_record
from robench.records.same_weights import same_weights, same_weights_notes


def trained(seed: int, weights: str, defense: str = "standard") -> Record:
    return make_record("HF", seed=seed, defense=defense, victim={"sha256": sha(weights)})


def test_two_trainings_are_no_copy() -> None:
    assert same_weights([trained(0, "one"), trained(1, "other")]) == {}


def test_several_attacks_on_one_victim_are_no_copy() -> None:
    records = [make_record("HF", attack=attack) for attack in ("genetic", "pwws")]
    assert same_weights(records) == {}


def test_one_training_under_two_seeds() -> None:
    records = [trained(0, "one"), trained(1, "one"), trained(2, "other")]
    assert same_weights(records) == {sha("one"): ["standard, seed 0", "standard, seed 1"]}
    assert same_weights_notes(records) == [
        "These have the same weights, so they are one training and not 2: standard, seed 0; "
        "standard, seed 1."
    ]


def test_one_training_under_another_seed_and_another_name() -> None:
    records = [trained(0, "one"), trained(1, "one", "rift")]
    assert same_weights(records) == {sha("one"): ["rift, seed 1", "standard, seed 0"]}


def test_two_rows_of_one_seed_may_share_their_weights() -> None:
    """Two rules that choose the epoch can choose the same one."""
    assert same_weights([trained(0, "one"), trained(0, "one", "standard(select=last)")]) == {}


def test_a_given_victim_may_stand_under_several_seeds() -> None:
    assert same_weights([make_record("HF", given="mine", seed=seed) for seed in (0, 1)]) == {}


def named(name: str, seed: int) -> Record:
    """Return a record of a saved victim that got a name (--victim FOLDER --name NAME)."""
    return make_record("HF", seed=seed, victim={"sha256": sha("one"), "name": name})


def test_a_saved_victim_with_a_name_may_stand_under_several_seeds() -> None:
    for own in ("mine", "standard-toy-tiny-s0-12345678"):
        assert same_weights([named(own, seed) for seed in (0, 1)]) == {}
    certificates = [make_certificate("CF", seed=seed) for seed in (0, 1)]
    cases: list[tuple[str | None, int]] = [(None, 1), ("mine", 0)]
    for name, found in cases:
        victim = certificates[0].victim.model_copy(update={"name": name})
        subjects = [each.model_copy(update={"victim": victim}) for each in certificates]
        assert len(same_weights(subjects)) == found


def test_the_name_of_the_defense_is_no_name_of_its_own() -> None:
    """The row looks like several trainings of the defense."""
    assert list(same_weights([named(" Standard", seed) for seed in (0, 1)])) == [sha("one")]


def test_a_certificate_counts_as_well() -> None:
    certificate = make_certificate("CF", seed=4)
    copied = trained(0, "one").model_copy(update={"victim": certificate.victim})
    assert list(same_weights([certificate, copied])) == [certificate.victim.sha256]


def test_the_table_of_a_run_says_it(tmp_path: Path) -> None:
    for seed in (0, 1):
        record = trained(seed, "one")
        write_record(tmp_path / record.file_name, record)
    assert "one training and not 2: standard, seed 0; standard, seed 1" in render_run(
        find_records(tmp_path)
    )
