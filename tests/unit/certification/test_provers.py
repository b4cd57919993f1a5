"""Which method works with which victim, and the sentence where it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from certified import SmallVictim, WordRows, space_of

from robench._base.errors import UsageError
from robench.certification.provers import BoundsCertifier, SmoothingCertifier, certifier_of
from robench.certification.settings import CertificationSettings
from robench.certification.smoothing import Sampling, SmoothingProver
from robench.models.smoother import Variants
from robench.models.smoothing import Smoothing
from robench.search.jobs import Job
from robench.tasks.example import Example
from robench.testing.random_models import classifier
from robench.text.encoding import EncodedText
from robench.text.space import SearchSpace

IDS = {"a": [10], "good": [13], "fine": [14], "film": [11], "really": [16], "truly": [17, 18]}
SETTINGS = CertificationSettings(texts=100, parts=4)


def victim_over(small: Any, mode: str = "word", **fields: Any) -> Any:
    """Return a victim that reads words by ``IDS``."""

    def candidates(words: Any, space: SearchSpace, texts: Any) -> WordRows:
        return WordRows(space, IDS)

    def probs(texts: Any) -> Any:
        ids = np.array([[2, *(i for word in texts[0]["text"].split() for i in IDS[word]), 3]])
        return small.logits(ids.astype(np.int32), np.array([ids.shape[1]], np.int32))

    return SimpleNamespace(
        name="mine",
        model=getattr(small, "model", None),
        logits=small.logits,
        probs_of_texts=probs,
        table=SimpleNamespace(mode=mode),
        encoder_fields=SimpleNamespace(candidates=candidates, max_tokens=40),
        **fields,
    )


def job_of(victim: Any, *options: str) -> Job:
    space = space_of(*options)
    fields = {"text": " ".join(space.words)}
    label = int(victim.probs_of_texts([fields])[0].argmax())
    return Job(Example("toy/1", fields, label), {"text": space.words}, space)


def bounds(victim: Any) -> BoundsCertifier:
    found = certifier_of("bounds", victim, SETTINGS, None, 0)  # type: ignore[arg-type]
    assert isinstance(found, BoundsCertifier)
    return found


def test_a_victim_of_robench_gets_bounds() -> None:
    victim = victim_over(SmallVictim())
    certifier = bounds(victim)
    assert certifier.remark is None
    assert certifier.prover.network is not None
    result = certifier.certify(job_of(victim, "a", "good fine", "film"))
    assert result.id == "toy/1"
    assert result.letter in "CF"
    assert result.reason == "enumeration"
    assert result.positions == 1


def test_an_example_on_which_the_victim_is_wrong_is_not_proved() -> None:
    victim = victim_over(SmallVictim())
    job = job_of(victim, "a", "good fine")
    other = Job(Example("toy/1", job.example.fields, 1 - job.example.label), job.words, job.space)
    assert bounds(victim).certify(other).letter == "W"


@pytest.mark.parametrize("mode", ["subword", "text"])
def test_substitutes_of_several_tokens_and_functions_are_enumerated(mode: str) -> None:
    victim = victim_over(SmallVictim(), mode=mode)
    result = bounds(victim).certify(job_of(victim, "really truly", "good fine"))
    assert result.reason == "enumeration"
    assert result.positions == 2


def test_a_given_model_is_enumerated_only_and_the_user_is_told() -> None:
    victim = victim_over(SmallVictim())
    victim.model = object()
    certifier = bounds(victim)
    assert certifier.prover.network is None
    assert certifier.remark is not None
    assert "'mine' was not trained by robench" in certifier.remark


def test_a_smoothed_victim_gets_no_bounds_of_its_classifier() -> None:
    certifier = bounds(victim_over(SmallVictim(), smoothing="something"))
    assert certifier.prover.network is None
    assert "random variants" in str(certifier.remark)


def test_an_unknown_encoder_is_enumerated_only() -> None:
    victim = victim_over(SmallVictim())
    victim.model = classifier("albert").eval()
    certifier = bounds(victim)
    assert certifier.prover.network is None
    assert "built in another way" in str(certifier.remark)


def test_no_parts_means_no_bounds_and_no_remark() -> None:
    settings = CertificationSettings(parts=0)
    victim = victim_over(SmallVictim())
    found = certifier_of("bounds", victim, settings, None, 0)  # type: ignore[arg-type]
    assert found.remark is None
    assert isinstance(found, BoundsCertifier)
    assert found.prover.network is None


def test_smoothing_needs_a_victim_of_robench() -> None:
    with pytest.raises(UsageError, match=r"'mine' was not trained by robench .* --method bounds"):
        certifier_of("smoothing", victim_over(SmallVictim()), SETTINGS, None, 0)  # type: ignore[arg-type]


class Unchanged:
    """A smoother whose sets hold one word each, so that every variant is the text itself."""

    smoothing = Smoothing("substitution", neighbours=8, answer="votes")
    sets = None

    def draw(self, ids: Any, rng: np.random.Generator, draws: int = 1) -> Variants:
        return Variants(np.repeat(np.array(ids, dtype=np.int64)[None], draws, axis=0))


def smoothing(victim: Any) -> SmoothingCertifier:
    prover = SmoothingProver(victim, Unchanged(), Sampling(40, 10, 0.01, 0))  # type: ignore[arg-type]
    return SmoothingCertifier(victim, prover, {}, smoothed=True)


@pytest.mark.parametrize("options", [("really truly", "good fine"), ("really", "good fine")])
def test_smoothing_says_where_the_victim_is_wrong_for_substitutes_of_any_length(
    options: tuple[str, ...],
) -> None:
    def read(fields: Any) -> EncodedText:
        ids = [2, *(i for word in fields["text"].split() for i in IDS[word]), 3]
        return EncodedText(np.array(ids, np.int32), np.zeros(len(ids), np.int8))

    victim = victim_over(SmallVictim(), mode="subword", read=read)
    job = job_of(victim, *options)
    right = smoothing(victim).certify(job)
    assert right.letter == "U"
    assert (right.reason == "substitutes of several tokens") == ("truly" in options[0])
    other = Job(Example("toy/1", job.example.fields, 1 - job.example.label), job.words, job.space)
    wrong = smoothing(victim).certify(other)
    assert (wrong.letter, wrong.reason) == ("W", "another label has most draws")
    assert wrong.positions == right.positions
