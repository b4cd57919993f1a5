"""Tests of the texts of trials, about which a victim is asked again."""

from __future__ import annotations

from fake_victims import FakeVictim, make_job

from robench import Trial, Verdict
from robench.verification.asking import ask_again

JOB = make_job("good film", {"good": ["nice"]})
VICTIM = FakeVictim({"nice": [0, 9], "good": [0, 0], "bad": [0, 9], "film": [0, 0]}, bias=(4, 0))


def test_the_text_of_an_attack_outside_the_surface_is_asked_again() -> None:
    for text, verdict in (("bad film", Verdict.FOOLED), ("film film", Verdict.HELD)):
        trial = Trial(id=JOB.example.id, verdict=Verdict.FOOLED, label=0, prediction=0, text=text)
        found = ask_again(VICTIM, [JOB], {trial.id: trial}, outside=True)
        assert found.trials[trial.id].verdict == verdict
        assert found.trials[trial.id].text == text
        assert not found.outside
