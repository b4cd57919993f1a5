"""Certify the victims of a run on the examples on which they are attacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robench._base import arithmetic
from robench._base.code_hash import source_sha256
from robench._base.errors import RobenchError
from robench._base.hub import no_pointless_retries
from robench._base.no_exit import without_exits
from robench.certification.keys import CODE, KeyParts, certificate_key
from robench.certification.provers import Certifier, certifier_of
from robench.certification.results import ExampleResult, ResultFile
from robench.certification.settings import CertificationSettings, Space
from robench.evaluation.checked_victims import HealthChecks
from robench.evaluation.chosen_punkt import with_chosen_punkt
from robench.evaluation.failures import Failures
from robench.evaluation.record_assembly import software_part, task_part
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolve import resolve_request
from robench.evaluation.resolved import ResolvedRequest, ResolvedTest
from robench.evaluation.results import write_leaderboard
from robench.evaluation.run import keep_texts
from robench.evaluation.surfaces import load_or_build_surfaces
from robench.evaluation.victims import ReadyVictim, victim_title
from robench.protocol import Protocol
from robench.records.certificate import Certificate, Method, SpacePart, row_of
from robench.records.certificate_files import write_certificate
from robench.records.record import digest_of_ids
from robench.records.run_folder import RunFolder, cell_name
from robench.text.surface_rules import surface_rules

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.tasks.example import Example
    from robench.text.surface import Surface

OWN_SET = ""
"""Name of the task's own substitution set among the surfaces of a test set."""


@dataclass(frozen=True)
class _Part:
    """One certificate to be made.

    Attributes:
        request: where results lie, and how long to wait for other runs.
        settings: options of the methods.
        test: the test set.
        victim: the victim.
        surface: the surface of the test set.
        language_model: identity of the scorer, or ``"none"``.
        method: the method.
        constrained: whether the language model constrains the space.
        certifier: the method on the victim.
    """

    request: EvaluationRequest
    settings: CertificationSettings
    test: ResolvedTest
    victim: ReadyVictim
    surface: Surface
    language_model: str
    method: Method
    constrained: bool
    certifier: Certifier

    @property
    def protocol(self) -> Protocol:
        """The evaluation choices: those of the victim's protocol, and those of the run."""
        return self.request.judged_by(self.victim.resolved.protocol)

    @property
    def removed(self) -> frozenset[str]:
        """The substitutes that the protocol takes from this victim."""
        if self.protocol.unknown == "allowed":
            return frozenset()
        fields = self.victim.victim.encoder_fields
        return fields.unknown_words(self.surface.vocabulary) or frozenset()

    @property
    def title(self) -> str:
        """Name for people."""
        victim, texts = self.victim.resolved, self.test.other or self.test.task
        space = "language model" if self.constrained else "all substitutes"
        return f"{victim.label} by {self.method} on {texts} ({space}), seed {victim.seed}"

    @property
    def key(self) -> str:
        """SHA-256 (hex) of everything that decides the letters, apart from the examples."""
        resolved = self.victim.resolved
        return certificate_key(
            KeyParts(
                victim=self.victim.obtained.identity,
                configuration=resolved.key,
                method=self.method,
                options=self.certifier.options,
                made_from=self.surface.meta["made_from"],
                constrained=self.constrained,
                protocol=self.protocol.name,
                seed=resolved.seed,
            ),
            resolved.device.partition(":")[0],
            arithmetic.products(),
        )

    @property
    def name(self) -> str:
        """Name of its files. The key is in it, so other settings have other files."""
        resolved = self.victim.resolved
        return cell_name(
            self.test.file_part, resolved.row_name, self.method, resolved.seed, self.key
        )


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def certify(
    request: EvaluationRequest, settings: CertificationSettings, report: Reporter
) -> list[Certificate]:
    """Certify every victim of ``request``, train those that are missing, and write certificates.

    Finished examples are on the disk: the same call continues where it was interrupted.

    Args:
        request: the victims, tasks and examples; its attacks are not used.
        settings: how victims are certified.
        report: receives the progress.

    Raises:
        UsageError: the request cannot be carried out.
        Incomplete: some victims could not be trained or certified. It holds the other certificates.
        RobenchError: the disk is full, or the only part of the run failed.
    """
    resolved = _resolve(request, settings, report)
    checks, failures = HealthChecks(request, report), Failures(report)
    single = sum(len(task.victims) for task in resolved.tasks) == 1
    made: list[Certificate] = []
    for task in resolved.tasks:
        for test in task.tests:
            keep_texts(request, task, test)
        surfaces = [
            load_or_build_surfaces(request, resolved, task, test, report)[OWN_SET]
            for test in task.tests
        ]
        for each in task.victims:
            title = victim_title(each, task)
            with failures.catch(title, only=single):
                victim = checks.obtain(task, each)
                for test, surface in zip(task.tests, surfaces, strict=True):
                    for part in _parts(request, settings, resolved, test, victim, surface):
                        with failures.catch(part.title, only=single):
                            made.append(_certify_part(part, report))
    if made:
        write_leaderboard(request.out, report)
    failures.raise_if_any(made)
    return made


def _resolve(
    request: EvaluationRequest, settings: CertificationSettings, report: Reporter
) -> ResolvedRequest:
    """Resolve the request, and load the language model where a space needs it."""
    resolved = resolve_request(request, report, searching=False)
    from robench.text.language_model import build_scorer

    # The surface is the one of the attacks, so that both speak about the same texts.
    scorer = build_scorer(
        request.lm,
        resolved.device,
        resolved.protocol.lm_radius,
        foreign_code=request.trust_remote_code,
    )
    if scorer is None and "constrained" in settings.spaces:
        report.message(
            "There is no language model (--lm none), so every space holds all substitutes."
        )
    return replace(resolved, scorer=scorer)


def _parts(
    request: EvaluationRequest,
    settings: CertificationSettings,
    resolved: ResolvedRequest,
    test: ResolvedTest,
    victim: ReadyVictim,
    surface: Surface,
) -> Iterator[_Part]:
    """Yield the certificates of one victim on one test set."""
    language_model = "none" if resolved.scorer is None else resolved.scorer.identity
    for method in dict.fromkeys(settings.methods):
        certifier = certifier_of(
            method, victim.victim, settings, test.substitutions, victim.resolved.seed
        )
        spaces = [_is_constrained(space, language_model) for space in settings.spaces]
        for constrained in dict.fromkeys(spaces):
            yield _Part(
                request,
                settings,
                test,
                victim,
                surface,
                language_model,
                method,
                constrained,
                certifier,
            )


def _is_constrained(space: Space, language_model: str) -> bool:
    return space == "constrained" and language_model != "none"


def _certify_part(part: _Part, report: Reporter) -> Certificate:
    """Certify the examples that have no verdict yet, and write the certificate."""
    folder = RunFolder(part.request.out).certificates
    file = ResultFile(folder / f"{part.name}.jsonl", part.key, part.request.patience(report))
    with file:
        known = file.read()
        todo = [each for each in part.test.examples if each.id not in known]
        if todo and file.damaged:
            report.message(
                f"'{file.path}' has damaged lines ({file.damaged}). Their examples are certified "
                "again."
            )
        if todo:
            _work(part, file, todo, known, report)
            known = file.read()
    missing = [each.id for each in part.test.examples if each.id not in known]
    if missing:
        raise RobenchError(
            f"{len(missing)} verdicts are missing in {file.path}, the first for {missing[0]}. Run "
            "the same command again."
        )
    certificate = _assemble(part, [known[each.id] for each in part.test.examples])
    write_certificate(folder / certificate.file_name, certificate)
    return certificate


def _work(
    part: _Part,
    file: ResultFile,
    todo: Sequence[Example],
    known: Mapping[str, ExampleResult],
    report: Reporter,
) -> None:
    """Certify the examples ``todo`` and append their verdicts to ``file``."""
    from robench.search.jobs import make_jobs

    total = len(part.test.examples)
    done = [known[each.id].letter for each in part.test.examples if each.id in known]
    report.started("certify", part.title, total)
    if part.certifier.remark is not None:
        report.message(part.certifier.remark)
    if done:
        report.message(
            f"{len(done)} of {total} verdicts exist from an earlier run. The other {len(todo)} "
            "examples are certified now."
        )
    letters: list[str] = list(done)
    jobs = make_jobs(
        todo,
        part.surface,
        part.victim.victim,
        constrained=part.constrained,
        threshold=part.protocol.lm_threshold,
        without=part.removed,
    )
    for job in jobs:
        result = part.certifier.certify(job)
        file.append(result)
        letters.append(result.letter)
        report.advanced(len(letters), total, _note(letters))
    report.finished(_note(letters))


def _note(letters: Sequence[str]) -> str:
    return f"certified {100 * letters.count('C') / len(letters):.1f} %"


def _assemble(part: _Part, results: Sequence[ExampleResult]) -> Certificate:
    """Return the certificate of the verdicts, which are in the order of the examples."""
    resolved, ready, test = part.victim.resolved, part.victim, part.test
    defense = resolved.defense_part(ready.obtained)
    victim = resolved.victim_part(ready.obtained, ready.findings)
    return Certificate(
        key=part.key,
        method=part.method,
        options=part.certifier.options,
        row=row_of(victim, "" if defense is None else defense.label),
        row_name=resolved.row_name,
        smoothed=part.certifier.smoothed,
        victim=victim,
        task=task_part(test, resolved),
        protocol=part.protocol,
        space=SpacePart(
            key=part.surface.key,
            rules=surface_rules(part.surface.meta["made_from"]),
            language_model=part.language_model,
            constrained=part.constrained,
        ),
        seed=resolved.seed,
        limit=test.limit,
        letters="".join(each.letter for each in results),
        positions=tuple(each.positions for each in results),
        reasons=dict(sorted(Counter(f"{each.letter}: {each.reason}" for each in results).items())),
        hull=sum(each.hull for each in results),
        ids_digest=digest_of_ids(each.id for each in results),
        error=part.settings.alpha if part.method == "smoothing" else None,
        seconds=round(sum(each.seconds for each in results), 3),
        code_sha256=source_sha256(*CODE),
        software=software_part(resolved),
        created=datetime.now(UTC).replace(microsecond=0),
    )
