"""All checks of one certificate: its file, its verdicts, its victim, and a sample made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from robench._base.errors import RobenchError, UsageError
from robench.certification.provers import certifier_of
from robench.certification.results import ExampleResult, ResultFile
from robench.certification.settings import CertificationSettings
from robench.evaluation.record_assembly import task_part
from robench.records.certificate import Certificate
from robench.records.record import digest_of_ids
from robench.search.jobs import make_jobs
from robench.tasks.balanced import balanced_prefix
from robench.text.surface_rules import surface_rules
from robench.training.registry import DEFENSES
from robench.verification import claims, parts
from robench.verification.certificate_parts import (
    OF_CODE,
    certificate_differences,
    has_key,
    other_code,
    proof_differences,
)
from robench.verification.checking import Checking
from robench.verification.settings import VerificationSettings
from robench.verification.surfaces import key_problems, other_ingredients
from robench.verification.task_checks import task_problems
from robench.verification.time_limit import within
from robench.verification.victims import FoundVictim, NotThere, StoredVictim, stored_victim
from robench.verification.workshop import Workshop

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.certification.provers import Certifier
    from robench.tasks.base import Task
    from robench.tasks.example import Example
    from robench.text.substitutions import SubstitutionSet
    from robench.text.surface_building import SurfaceRequest
    from robench.verification.results import Report

FILE, TASK, VERDICTS, VICTIM = "file", "task", "verdicts", "victim"
SURFACE, KEY, PARTS, PROOFS = "surface", "key", "other fields", "proofs"
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
            trained = parts.trained_in_its_run(certificate.victim)
            data, texts = self._workshop.data, self._workshop.texts(task)
            problems += task_problems(task, texts, data, trained=trained)
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
            problems += parts.seed_problems(certificate.victim, certificate.seed, found.card)
        made_from: Mapping[str, Any] | None = None
        with checking.check(SURFACE) as problems:
            if found is None or not examples:
                raise NotThere("it needs the victim and the texts")
            made_from, wrong = self._made_from(certificate, found, examples)
            problems += wrong
        self._with_victim(certificate, checking, found, made_from)
        with checking.check(PROOFS) as problems:
            if found is None or not examples:
                raise NotThere("it needs the victim and the texts")
            problems += self._proofs(certificate, report, found, examples)

    def _with_victim(
        self,
        certificate: Certificate,
        checking: Checking,
        found: FoundVictim | None,
        made_from: Mapping[str, Any] | None,
    ) -> None:
        """Compare the other fields and the key with what victim, options and surface give."""
        others, rebuilt = other_code(certificate), None
        with checking.check(PARTS) as problems:
            if found is None:
                raise NotThere("it needs the victim")
            rebuilt = self._rebuilt(certificate, found)
            test = self._workshop.test(
                certificate, self._workshop.texts(certificate.task), rebuilt[0].task_class, 0
            )
            task = task_part(test, rebuilt[0])
            differing = certificate_differences(certificate, *rebuilt, task)
            excused = OF_CODE if others else frozenset()
            problems += [text for name, text in differing.items() if name not in excused]
            if differing:
                raise NotThere(f"{next(iter(differing.values()))}. Other code or software made it")
        with checking.check(KEY) as problems:
            if rebuilt is None or made_from is None:
                raise NotThere("it needs the victim and the surface")
            if not others and not has_key(certificate, *rebuilt, made_from):
                problems.append("its key does not follow from what made the certificate")
        if others:
            checking.note(f"Made by {', '.join(others)}. So its key cannot be computed here.")

    def _rebuilt(
        self, certificate: Certificate, found: FoundVictim
    ) -> tuple[StoredVictim, Certifier]:
        """Return the victim in memory, and the method on it with the options of a certificate."""
        loaded = self._workshop.load(found)
        resolved = stored_victim(found, certificate, self._workshop.device, loaded)
        own = self._own_set(found, resolved.task_class)
        victim: Any = loaded.victim
        return resolved, certifier_of(
            certificate.method, victim, settings_of(certificate), own, certificate.seed
        )

    def _made_from(
        self, certificate: Certificate, found: FoundVictim, examples: Sequence[Example]
    ) -> tuple[Mapping[str, Any], list[str]]:
        """Return what made the surface of a certificate, and what is wrong with it.

        Raises:
            NotThere: the surface is not there, and a new one has another key.
        """
        space = certificate.space
        request = self._surface_request(certificate, found, examples)
        stored, problems = self._workshop.stored(space.key), list[str]()
        if stored is not None and stored.made_from:
            made_from = stored.made_from
            problems += key_problems(stored, space.key)
            problems += other_ingredients(stored, request.ingredients)
        elif request.key == space.key:
            made_from = request.ingredients
        else:
            raise NotThere(
                "its surface is not there, and one that is built here has another key. The code, "
                "the words or the window may differ"
            )
        if surface_rules(made_from) != space.rules:
            problems.append("its 'space.rules' are not those of its surface")
        return made_from, problems

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
        ids = [each.id for each in examples]
        folders = [each.certificates for each in report.folders]
        file, known = verdicts_of(certificate, ids, folders)
        if file.damaged and not known:
            raise NotThere(f"the verdicts in {file.path.name} have no seal of this certificate")
        results = [known[each.id] for each in examples if each.id in known]
        if len(results) != len(examples):
            damage = f": {file.which_damage}"
            return [
                f"{len(examples) - len(results)} verdicts are missing in {file.path.name}"
                f"{damage if file.damaged else ''}"
            ]
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

    def _proofs(
        self,
        certificate: Certificate,
        report: Report,
        found: FoundVictim,
        examples: Sequence[Example],
    ) -> list[str]:
        """Make a sample of the verdicts again, and return how they differ.

        Raises:
            NotThere: some take too long, or differ where other software may explain it.
        """
        chosen = self._sample(certificate, examples)
        results = self._certified(certificate, found, [examples[number] for number in chosen])
        again = {n: now for n, now in zip(chosen, results, strict=True) if now is not None}
        report.proved = len(again)
        device = self._workshop.device
        exact = not other_code(certificate) and parts.same_processor(certificate, device)
        report.same_software = exact
        problems, soft = proof_differences(certificate, again, exact=exact)
        if problems:
            return problems
        if len(again) < len(chosen):
            raise NotThere(
                f"{len(chosen) - len(again)} of {len(chosen)} proofs did not end within "
                f"{self._settings.example_seconds:g} s each (--example-seconds)"
            )
        if soft:
            raise NotThere(
                f"{len(soft)} of {len(again)} repeated proofs end otherwise. The certificate names "
                f"other software or another processor, which can turn a proof: {soft[0]}"
            )
        return []

    def _surface_request(
        self, certificate: Certificate, found: FoundVictim, examples: Sequence[Example]
    ) -> SurfaceRequest:
        """Return what decides the surface of some examples of a certificate."""
        from robench.text.surface_building import SurfaceRequest

        workshop, space = self._workshop, certificate.space
        resolved = stored_victim(found, certificate, workshop.device, workshop.load(found))
        stored = workshop.stored(space.key)
        radius = certificate.protocol.lm_radius
        return SurfaceRequest(
            examples=examples,
            attackable=workshop.texts(certificate.task).attackable,
            task=certificate.task.other_test or certificate.task.name,
            digest=certificate.task.digest,
            substitutions=self._own_set(found, resolved.task_class),
            protocol=resolved.protocol,
            scorer=workshop.sets.scorer_of(space.language_model, radius),
            max_words=max(int(found.card["max_tokens"]), 0 if stored is None else stored.max_words),
        )

    def _certified(
        self, certificate: Certificate, found: FoundVictim, examples: Sequence[Example]
    ) -> list[ExampleResult | None]:
        """Certify examples again; None stands for one that took too long."""
        from robench.text.surface_building import build_surface

        surface = build_surface(self._surface_request(certificate, found, examples))
        resolved, certifier = self._rebuilt(certificate, found)
        obtained = resolved.loaded
        assert obtained is not None
        victim: Any = obtained.victim
        removed: frozenset[str] = frozenset()
        if certificate.protocol.unknown == "forbidden":
            removed = victim.encoder_fields.unknown_words(surface.vocabulary) or frozenset()
        jobs = make_jobs(
            examples,
            surface,
            victim,
            constrained=certificate.space.constrained,
            threshold=certificate.protocol.lm_threshold,
            without=removed,
        )
        self._progress.started("verify", f"{found.folder.name}: certificate", len(examples))
        done: list[ExampleResult | None] = []
        for job in jobs:
            # The file of a stranger may name options with which a proof takes for ever.
            done.append(within(self._settings.example_seconds, partial(certifier.certify, job)))
            self._progress.advanced(len(done), len(examples), "")
        self._progress.finished(f"{len(done)} examples certified again")
        return done


def verdicts_of(
    certificate: Certificate, ids: Sequence[str], folders: Sequence[Path]
) -> tuple[ResultFile, Mapping[str, ExampleResult]]:
    """Return the first file of verdicts with the letters of a certificate, else the first file.

    Args:
        certificate: the certificate.
        ids: ids of its examples, in the order of its letters.
        folders: folders of certificates.

    Raises:
        NotThere: there is none.
        RobenchError: the first file cannot be read, and no other one fits.
    """
    name = f"{certificate.name}.jsonl"
    paths = [path for folder in folders if (path := folder / name).exists()]
    if not paths:
        raise NotThere(f"its verdicts are not there ({name})")
    for path in paths:
        file = ResultFile(path, certificate.key)
        with suppress(RobenchError):
            known = file.read()
            if [known[id_].letter for id_ in ids if id_ in known] == list(certificate.letters):
                return file, known
    file = ResultFile(paths[0], certificate.key)
    return file, file.read()


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
