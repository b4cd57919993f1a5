"""All checks of one certificate: its file, its verdicts, its victim, and a sample made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any, Final

from robench._base.errors import RobenchError, UsageError
from robench.certification.provers import certifier_of
from robench.certification.results import ExampleResult, ResultFile
from robench.certification.settings import CertificationSettings
from robench.records.certificate import Certificate
from robench.records.record import digest_of_ids
from robench.search.jobs import make_jobs
from robench.tasks.balanced import balanced_prefix
from robench.training.registry import DEFENSES
from robench.verification import claims, parts
from robench.verification.certificate_parts import certificate_differences
from robench.verification.checking import Checking
from robench.verification.settings import VerificationSettings
from robench.verification.surfaces import key_problems
from robench.verification.task_checks import task_problems
from robench.verification.victims import FoundVictim, NotThere, stored_victim
from robench.verification.workshop import Workshop

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.tasks.base import Task
    from robench.tasks.example import Example
    from robench.text.substitutions import SubstitutionSet
    from robench.verification.results import Report

FILE, TASK, VERDICTS, VICTIM = "file", "task", "verdicts", "victim"
PARTS, PROOFS = "other fields", "proofs"
"""Names of the checks."""
MOST_EFFORT: Final = 100_000
"""The largest number in a certificate's options for which it is made again."""
_OPTIONS: Final = ("texts", "parts", "draws", "guess", "alpha")


class CertificateVerifier:
    """Checks certificates one after the other; the arguments are those of ``RecordVerifier``."""

    def __init__(
        self, workshop: Workshop, settings: VerificationSettings, progress: Reporter
    ) -> None:
        self._workshop, self._settings, self._progress = workshop, settings, progress

    def verify(self, report: Report) -> None:
        """Check a certificate, and note every check in its report."""
        certificate, checking = report.subject, Checking(report)
        assert isinstance(certificate, Certificate)
        with checking.check(FILE) as problems:
            problems += claims.name_problems(report.path, certificate.file_name)
            problems += claims.impossible_dates(certificate)
        with checking.check(TASK) as problems:
            task = certificate.task
            problems += task_problems(task, self._workshop.texts(task), self._workshop)
        examples: Sequence[Example] = ()
        with checking.check(VERDICTS) as problems:
            texts = self._workshop.texts(certificate.task)
            limit = certificate.limit
            examples = texts.examples if limit is None else balanced_prefix(texts.examples, limit)
            problems += self._verdict_problems(certificate, report, examples)
        found: FoundVictim | None = None
        with checking.check(VICTIM) as problems:
            found = self._workshop.victims.find(certificate)
            problems += parts.card_problems(found.card)
            problems += parts.name_problems(
                certificate.victim, str(found.card["ingredients"]["defense"]), DEFENSES.names()
            )
        with checking.check(PARTS) as problems:
            if found is None:
                raise NotThere("it needs the victim")
            problems += self._part_problems(certificate, found)
        with checking.check(PROOFS) as problems:
            if found is None or not examples:
                raise NotThere("it needs the victim and the texts")
            chosen = self._sample(certificate, examples)
            problems += self._made_again(certificate, found, chosen)
            report.proved = len(chosen)

    def _part_problems(self, certificate: Certificate, found: FoundVictim) -> list[str]:
        """Compare the other fields with what the victim and the options of the method give."""
        loaded = self._workshop.load(found)
        resolved = stored_victim(found, certificate, self._workshop.device, loaded)
        own = self._own_set(found, resolved.task_class)
        victim: Any = loaded.victim
        certifier = certifier_of(
            certificate.method, victim, settings_of(certificate), own, certificate.seed
        )
        return certificate_differences(certificate, resolved, certifier)

    def _own_set(self, found: FoundVictim, cls: type[Task]) -> SubstitutionSet:
        """Return the substitution set of a task."""
        own = next(self._workshop.sets.own_sets(cls, found.card.get("substitutions")), None)
        if own is None:
            raise NotThere("the substitution set of its task is not here; give --data")
        return own

    def _verdict_problems(
        self, certificate: Certificate, report: Report, examples: Sequence[Example]
    ) -> list[str]:
        """Compare the letters with the verdicts, one line each, that lie beside the certificate."""
        problems = []
        if digest_of_ids(each.id for each in examples) != certificate.ids_digest:
            return ["its 'ids_digest' is not that of the examples that its task and limit name"]
        files = [folder.certificates / f"{certificate.name}.jsonl" for folder in report.folders]
        path = next((each for each in files if each.exists()), None)
        if path is None:
            raise NotThere(f"its verdicts are not there ({files[0].name})")
        file = ResultFile(path, certificate.key)
        known = file.read()
        if file.damaged and not known:
            raise NotThere(f"the verdicts in {path.name} have no seal of this certificate")
        results = [known[each.id] for each in examples if each.id in known]
        if len(results) != len(examples):
            return [f"{len(examples) - len(results)} verdicts are missing in {path.name}"]
        if "".join(each.letter for each in results) != certificate.letters:
            problems.append("its letters are not those of its verdicts")
        reasons = Counter(f"{each.letter}: {each.reason}" for each in results)
        if dict(reasons) != certificate.reasons:
            problems.append("its reasons are not those of its verdicts")
        if tuple(each.positions for each in results) != certificate.positions:
            problems.append("its numbers of positions are not those of its verdicts")
        if sum(each.hull for each in results) != certificate.hull:
            problems.append("its number of certified hulls is not that of its verdicts")
        return problems

    def _sample(self, certificate: Certificate, examples: Sequence[Example]) -> list[int]:
        """Return the numbers of the examples that are certified again, of each letter a share."""
        draw = Random(f"{self._settings.seed} {certificate.key}")
        chosen: list[int] = []
        for letter in sorted(set(certificate.letters)):
            numbers = [n for n, each in enumerate(certificate.letters) if each == letter]
            chosen += draw.sample(numbers, ceil(self._settings.sample * len(numbers)))
        return sorted(chosen)

    def _made_again(
        self, certificate: Certificate, found: FoundVictim, chosen: Sequence[int]
    ) -> list[str]:
        """Certify some examples again, and return how their letters differ."""
        results = self._certified(certificate, found, chosen)
        problems = []
        for number, now in zip(chosen, results, strict=True):
            was = certificate.letters[number]
            if was != now.letter:
                problems.append(
                    f"the letter of {now.id} is {was}, and its proof gives {now.letter}"
                )
            elif certificate.positions[number] != now.positions:
                problems.append(
                    f"{now.id} has {certificate.positions[number]} positions, and its space has "
                    f"{now.positions}"
                )
        return problems

    def _certified(
        self, certificate: Certificate, found: FoundVictim, chosen: Sequence[int]
    ) -> list[ExampleResult]:
        from robench.text.surface_building import SurfaceRequest, build_surface

        workshop, texts = self._workshop, self._workshop.texts(certificate.task)
        limit = certificate.limit
        judged = texts.examples if limit is None else balanced_prefix(texts.examples, limit)
        examples = [judged[number] for number in chosen]
        resolved = stored_victim(found, certificate, workshop.device, workshop.load(found))
        cls, loaded = resolved.task_class, workshop.load(found)
        stored = workshop.stored(certificate.space.key)
        own = self._own_set(found, cls)
        victim: Any = loaded.victim
        surface = build_surface(
            SurfaceRequest(
                examples=examples,
                attackable=texts.attackable,
                task=certificate.task.other_test or certificate.task.name,
                digest=certificate.task.digest,
                substitutions=own,
                protocol=resolved.protocol,
                scorer=workshop.sets.scorer_of(
                    certificate.space.language_model, certificate.protocol.lm_radius
                ),
                max_words=max(
                    int(found.card["max_tokens"]), 0 if stored is None else stored.max_words
                ),
            )
        )
        if stored is not None and (wrong := key_problems(stored, certificate.space.key)):
            raise RobenchError(wrong[0])
        removed: frozenset[str] = frozenset()
        if certificate.protocol.unknown == "forbidden":
            removed = victim.encoder_fields.unknown_words(surface.vocabulary) or frozenset()
        certifier = certifier_of(
            certificate.method, victim, settings_of(certificate), own, certificate.seed
        )
        jobs = make_jobs(
            examples,
            surface,
            victim,
            constrained=certificate.space.constrained,
            threshold=certificate.protocol.lm_threshold,
            without=removed,
        )
        self._progress.started("verify", f"{found.folder.name}: certificate", len(examples))
        done = []
        for job in jobs:
            done.append(certifier.certify(job))
            self._progress.advanced(len(done), len(examples), "")
        self._progress.finished(f"{len(done)} examples certified again")
        return done


def settings_of(certificate: Certificate) -> CertificationSettings:
    """Return the settings with which a certificate was made.

    Raises:
        UsageError: they are no settings, or so large that nobody made the certificate.
    """
    values: dict[str, Any] = {
        name: value for name, value in certificate.options.items() if name in _OPTIONS
    }
    smoothing = certificate.options.get("smoothing")
    if isinstance(smoothing, dict) and isinstance(smoothing.get("neighbours"), int):
        values["neighbours"] = smoothing["neighbours"]
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value > MOST_EFFORT:
            raise UsageError(f"its option '{name}' is no number that robench makes it with again")
    return replace(CertificationSettings(), **values)
