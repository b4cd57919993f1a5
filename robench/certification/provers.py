"""One method on one victim: what is proved about each example."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from robench._base.errors import UsageError
from robench.certification.branching import Effort, Prover, Verdict
from robench.certification.results import ExampleResult
from robench.certification.settings import CertificationSettings
from robench.certification.slots import Slots, slots_of
from robench.certification.smoothing import Sampling, SmoothingProver
from robench.records.certificate import Method

if TYPE_CHECKING:
    from robench.certification.network import Network
    from robench.models.judged import JudgedVictim
    from robench.models.smoother import Smoother
    from robench.models.victim import Victim
    from robench.search.jobs import Job
    from robench.search.victim_protocol import Candidates
    from robench.text.substitutions import SubstitutionSet


class Certifier(Protocol):
    """One method on one victim."""

    @property
    def smoothed(self) -> bool:
        """Whether it is about a smoothed victim that was made for the certificate."""

    @property
    def options(self) -> dict[str, Any]:
        """Its options, as a certificate stores them."""

    @property
    def remark(self) -> str | None:
        """A sentence for the user about what it cannot do here, or None."""

    def certify(self, job: Job) -> ExampleResult:
        """Return the verdict on one example."""


@dataclass(frozen=True)
class BoundsCertifier:
    """Enumeration and interval bounds of a victim as it is attacked."""

    victim: JudgedVictim
    prover: Prover
    options: dict[str, Any]
    remark: str | None
    smoothed: bool = False

    def certify(self, job: Job) -> ExampleResult:
        """Return the verdict on one example."""
        since, label = monotonic(), job.example.label
        candidates, slots = _read(self.victim, job)
        positions = len(job.space.positions) if slots is None else len(slots.columns)
        if int(self.victim.probs_of_texts([job.example.fields])[0].argmax()) != label:
            verdict = Verdict("W", "wrong")
        elif slots is None:
            verdict = self.prover.prove_choices(job.space, candidates, label)
        else:
            verdict = self.prover.prove(slots, label)
        return _result(job, verdict, positions, since)


@dataclass(frozen=True)
class SmoothingCertifier:
    """Randomised smoothing of one victim."""

    victim: Victim
    prover: SmoothingProver
    options: dict[str, Any]
    smoothed: bool
    remark: str | None = None

    def certify(self, job: Job) -> ExampleResult:
        """Return the verdict on one example."""
        since = monotonic()
        _, slots = _read(self.victim, job)
        label, example_id = job.example.label, job.example.id
        if slots is not None:
            verdict = self.prover.prove(slots, label, example_id)
            return _result(job, verdict, len(slots.columns), since)
        # The text itself always has a row, so it is known whether the victim is right about it.
        row = self.victim.read(job.example.fields)
        unchanged = Slots(row.ids, row.token_types, (), ())
        verdict = self.prover.wrong(unchanged, label, example_id) or Verdict(
            "U", "substitutes of several tokens"
        )
        return _result(job, verdict, len(job.space.positions), since)


def _read(victim: JudgedVictim, job: Job) -> tuple[Candidates, Slots | None]:
    fields = victim.encoder_fields
    candidates = fields.candidates(job.words, job.space, job.example.fields)
    aligned = victim.table.mode == "word"
    if victim.table.mode == "text":
        # A row of a function is one number for a whole text.
        return candidates, None
    return candidates, slots_of(job.space, candidates, aligned=aligned, longest=fields.max_tokens)


def _result(job: Job, verdict: Verdict, positions: int, since: float) -> ExampleResult:
    return ExampleResult(
        id=job.example.id,
        letter=verdict.letter,
        reason=verdict.how,
        positions=positions,
        hull=verdict.hull,
        seconds=round(monotonic() - since, 4),
    )


def certifier_of(
    method: Method,
    victim: JudgedVictim,
    settings: CertificationSettings,
    substitutions: SubstitutionSet,
    seed: int,
) -> Certifier:
    """Return the method for one victim.

    Args:
        method: the method.
        victim: the victim.
        settings: options of the methods.
        substitutions: substitution set of the task, for smoothing.
        seed: of the draws.

    Raises:
        UsageError: the method does not work with this victim.
    """
    if method == "bounds":
        return _bounds(victim, settings)
    return _smoothing(victim, settings, substitutions, seed)


def _bounds(victim: JudgedVictim, settings: CertificationSettings) -> BoundsCertifier:
    effort = Effort(texts=settings.texts, parts=settings.parts)
    network, remark = _network_of(victim, settings.parts)
    return BoundsCertifier(
        victim, Prover(victim, network, effort), settings.options("bounds"), remark
    )


def _network_of(victim: JudgedVictim, parts: int) -> tuple[Network | None, str | None]:
    """Return the network for bounds, or a sentence that says why there is none."""
    from robench.certification.network import Network
    from robench.models.classifier import TextClassifier

    model = getattr(victim, "model", None)
    if not parts:
        return None, None
    what = "so only small spaces are proved, by asking about every text."
    if not isinstance(model, TextClassifier):
        return None, (
            f"'{victim.name}' was not trained by robench, and interval bounds need word vectors "
            f"and layers that robench knows: {what}"
        )
    if getattr(victim, "smoothing", None) is not None:
        return None, f"'{victim.name}' answers with a mean over random variants: {what}"
    try:
        return Network(model), None
    except UsageError as error:
        return None, f"{str(error).rstrip('.')}: {what}"


def _smoothing(
    victim: JudgedVictim, settings: CertificationSettings, words: SubstitutionSet, seed: int
) -> SmoothingCertifier:
    from robench.models.victim import Victim

    if not isinstance(victim, Victim):
        raise UsageError(
            f"--method smoothing exchanges words that are single tokens, and '{victim.name}' was "
            "not trained by robench to read them so. Use --method bounds."
        )
    options = settings.options("smoothing")
    smoother, base, smoothed = _smoother_of(victim, settings, words, seed)
    options["smoothing"] = smoother.smoothing.to_card()
    sampling = Sampling(settings.draws, settings.guess, settings.alpha, seed)
    return SmoothingCertifier(victim, SmoothingProver(base, smoother, sampling), options, smoothed)


def _smoother_of(
    victim: Victim, settings: CertificationSettings, words: SubstitutionSet, seed: int
) -> tuple[Smoother, Victim, bool]:
    """Return what draws variants, the model that answers them, and whether it was made here."""
    from robench.models.smoother import Smoother
    from robench.models.smoothing import Smoothing

    if victim.smoother is not None:
        if victim.smoother.smoothing.kind == "hull":
            raise UsageError(
                f"'{victim.name}' mixes word vectors, and no certificate is known for that. "
                "Use --method bounds."
            )
        return victim.smoother, victim.unsmoothed, False
    smoothing = Smoothing(
        "substitution",
        draws=settings.draws,
        answer="votes",
        seed=seed,
        neighbours=settings.neighbours,
    )
    vectors = victim.model.encoder.get_input_embeddings().weight.detach().cpu().numpy()
    lookup = victim.protocol.lookup
    made = Smoother.build(smoothing, victim.encoder_fields, vectors, words, lookup)
    return made, victim, True
