"""``check_defense`` against defenses that break one promise each, on purpose.

The check of that promise must fail, with a sentence that says what the defense did.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from violators import VIOLATORS, Sound

from robench import DEFENSES, Defense
from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.testing import DEFENSE_CHECKS, DefenseSubject, check_defense


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kit-sound", "kit-sound-augmenting"])
def test_a_sound_defense_passes_every_check(name: str) -> None:
    check_defense(name)


@pytest.mark.parametrize(
    ("name", "check", "sentence"), VIOLATORS, ids=[name for name, _, _ in VIOLATORS]
)
def test_a_broken_promise_fails_the_check_of_that_promise(
    name: str, check: str, sentence: str
) -> None:
    with pytest.raises(AssertionError, match=rf"^defense '{name}': .*{sentence}") as failure:
        DEFENSE_CHECKS[check](DefenseSubject.of(name))
    assert "\n" not in str(failure.value)


def test_every_check_has_a_defense_that_fails_at_it() -> None:
    assert {check for _, check, _ in VIOLATORS} == set(DEFENSE_CHECKS)


def test_a_defense_may_refuse_a_family_of_encoders() -> None:
    @DEFENSES.register("kit-particular")
    class Particular(Sound):
        """Takes BERT only, and says so."""

        def prepare(self, model: TextClassifier) -> None:
            if model.encoder.config.model_type != "bert":
                raise UsageError("Only BERT.")

    DEFENSE_CHECKS["families"](DefenseSubject.of("kit-particular"))


def test_check_defense_takes_classes_and_options_and_stops_at_the_first_failure() -> None:
    with pytest.raises(AssertionError, match=r"^defense 'kit-nameless': 'paper' is no citation"):
        check_defense(DEFENSES.get("kit-nameless"))
    with pytest.raises(
        AssertionError,
        match=r"prepare\(\): it broke: UsageError: Option 'learning_rate' of defense 'kit-sound':"
        " .* greater than 0",
    ):
        check_defense("kit-sound", options={"learning_rate": -1.0})


def test_the_checks_run_on_one_thread_and_restore_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Sound, "prepare", lambda self, model: seen.append(torch.get_num_threads()))
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(AssertionError, match="its penalty is no scalar"):
            check_defense("kit-nearly")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)
    assert set(seen) == {1}


def test_an_unregistered_class_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        UsageError,
        match=r"^Defense is no registered defense\."
        r" Put @DEFENSES\.register\('its-name'\) over it\.$",
    ):
        check_defense(Defense)


def test_the_folder_of_a_subject_is_removed_with_it() -> None:
    subject = DefenseSubject.of("kit-sound")
    folder: Path = subject.encoder.parent
    assert folder.is_dir()
    del subject
    assert not folder.exists()
