"""Attributes of a victim's modules that decide its answers and are no weights."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from saved_victims import victim
from victim_cases import FAMILIES

from robench.models.saved_folder import SavedFolder, load_unchanged
from robench.models.victim import Victim
from robench.models.victim_folder import checked_card, identity
from robench.models.watched_attributes import NAME, load_watched, watch
from robench.search.unchanged import UnchangedVictim, VictimChanged

TEXTS = [{"text": "film good noun1"}, {"text": "a bad noun2 " * 20}, {"text": ""}]


def _norm(subject: Victim) -> Any:
    return next(each for each in subject.model.modules() if isinstance(each, torch.nn.LayerNorm))


def _eps(subject: Victim) -> None:
    _norm(subject).eps = 0.5


def _scale(subject: Victim) -> None:
    _norm(subject).scale = 2.0


def _filled(subject: Victim) -> None:
    shifts: Any = subject.model.shifts
    shifts.fill_(2)


def _config(subject: Victim) -> None:
    subject.model.encoder.config.layer_norm_eps = 0.5


def _tokenizer(subject: Victim) -> None:
    subject.tokenizer.model_max_length = 3


def _tuple(subject: Victim) -> None:
    _norm(subject).normalized_shape = (1, 2)


def _gone(subject: Victim) -> None:
    delattr(subject, NAME)


@pytest.mark.parametrize(
    "change",
    [_eps, _scale, _filled, _config, _tokenizer, _tuple, _gone],
    ids=lambda each: each.__name__,
)
def test_a_change_is_found(change: Callable[[Victim], None]) -> None:
    subject: Any = victim()
    object.__setattr__(subject.model, "shifts", torch.zeros(3))
    _norm(subject).scale = 1.0
    watch(subject)
    unchanged = UnchangedVictim(subject)
    unchanged.check("sly")
    change(subject)
    with pytest.raises(VictimChanged, match=f"first 'attribute {NAME}'"):
        unchanged.check("sly")


@pytest.mark.parametrize("family", FAMILIES)
def test_asking_changes_nothing(family: str) -> None:
    subject = victim(family)
    watch(subject)
    unchanged = UnchangedVictim(subject)
    subject.probs_of_texts(TEXTS)
    unchanged.check("honest")


def test_what_a_model_writes_itself_is_no_change() -> None:
    subject: Any = victim()
    subject.model.max_seq_len_cached = 10
    watch(subject)
    unchanged = UnchangedVictim(subject)
    subject.model.max_seq_len_cached = 20
    unchanged.check("honest")


def test_the_victim_of_a_worker_is_watched(tmp_path: Path) -> None:
    victim().save(tmp_path / "v")
    source = SavedFolder(tmp_path / "v", identity(checked_card(tmp_path / "v")))
    load = partial(load_watched, load_unchanged)
    # A plan goes to another process, so it can be pickled.
    assert b"load_watched" in pickle.dumps(load)
    loaded = load(source, "cpu")
    unchanged = UnchangedVictim(loaded)
    _eps(loaded)
    with pytest.raises(VictimChanged, match=NAME):
        unchanged.check("sly")


def test_a_victim_without_modules_stays_as_it_is() -> None:
    class Plain:
        pass

    subject = Plain()
    watch(subject)
    watch(len)
    assert vars(subject) == {}
