"""Which folder of a run is asked as the victim of a record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from saved_victims import change_card, victim
from trial_runs import TRIALS, write_run

from robench._base.errors import RobenchError
from robench._base.reporting import Silent
from robench._base.seals import file_sha256
from robench.evaluation.transfer import _Rescorer
from robench.models.victim_folder import checked_card, identity
from robench.records.run_folder import RunFolder
from robench.records.transfer import AttackedVictim, group_cells
from robench.records.trial_choice import CellChoice, load_trials


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> AttackedVictim:
    """Any attacked victim; its record is changed by the tests."""
    run = tmp_path_factory.mktemp("cells")
    write_run(run, TRIALS)
    write_run(run, TRIALS, defense="rift")
    (group,) = group_cells(load_trials(run, CellChoice()))
    return group.victims[0]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "victims" / "a"
    victim().save(folder)
    return folder


def of(cell: AttackedVictim, folder: Path, *, older: bool = False) -> AttackedVictim:
    """Return the cell with the victim in ``folder``, as its record names it."""
    card = checked_card(folder)
    names = {"sha256": card["sha256"], "identity": None if older else identity(card)}
    part = cell.record.victim.model_copy(update=names)
    return replace(cell, record=cell.record.model_copy(update={"victim": part}))


def another_tokenizer(folder: Path) -> None:
    """Change the tokenizer and the card, as a careful edit would."""
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(path.read_text() + "\n")
    name = path.relative_to(folder).as_posix()
    change_card(folder, lambda card: card["files"].update({name: file_sha256(path)}))


def asked(folder: Path, cell: AttackedVictim) -> Path:
    return _Rescorer(RunFolder(folder.parents[1]), "cpu", Silent())._folder_of(cell)


@pytest.mark.parametrize("older", [False, True])
def test_the_victim_of_a_record_is_found(cell: AttackedVictim, saved: Path, older: bool) -> None:
    wanted = of(cell, saved, older=older)
    other = saved.with_name("b")
    victim(seed=1).save(other)
    assert asked(saved, wanted) == saved


def test_the_same_weights_with_another_tokenizer_are_not_the_victim(
    cell: AttackedVictim, saved: Path
) -> None:
    wanted, older = of(cell, saved), of(cell, saved, older=True)
    another_tokenizer(saved)
    with pytest.raises(RobenchError, match="has its weights, and another tokenizer or other"):
        asked(saved, wanted)
    # A record of an earlier version names the weights only.
    assert asked(saved, older) == saved


def test_of_two_folders_with_the_same_weights_the_right_one_is_asked(
    cell: AttackedVictim, saved: Path
) -> None:
    wanted = of(cell, saved)
    other = saved.with_name("b")
    victim().save(other)
    another_tokenizer(other)
    assert asked(saved, wanted) == saved
    assert asked(saved, of(cell, other)) == other
    with pytest.raises(RobenchError, match=r"several folders in .* have its weights"):
        asked(saved, of(cell, saved, older=True))


def test_a_copy_that_did_not_end_is_not_asked(cell: AttackedVictim, saved: Path) -> None:
    wanted = of(cell, saved)
    saved.rename(saved.with_name(".a.0f3a.copy"))
    with pytest.raises(RobenchError, match=r"no folder in .* has its weights"):
        asked(saved, wanted)
