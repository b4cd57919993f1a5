"""Build the cell of a record again: texts, victim, attack, surface and what it does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.evaluation.cell import Cell
from robench.evaluation.checked_victims import HealthChecks
from robench.evaluation.request import EvaluationRequest, build_request
from robench.evaluation.resolve import resolve_attack
from robench.evaluation.resolved import ResolvedAttack, ResolvedTask, ResolvedTest
from robench.evaluation.resolved_victims import Obtained
from robench.evaluation.test_sets import max_words
from robench.evaluation.unknown_words import UnknownWords
from robench.evaluation.victims import ReadyVictim
from robench.plugins.names import split_on
from robench.records.certificate import Certificate
from robench.records.judged_ids import find_test_set
from robench.records.record import Record, TaskPart
from robench.records.run_folder import RunFolder
from robench.records.test_set import MissingTexts, TestSet
from robench.search.registry import ATTACKS
from robench.tasks.balanced import balanced_prefix
from robench.tasks.base import Task
from robench.verification.sets import SetSearch
from robench.verification.settings import VerificationSettings
from robench.verification.surfaces import StoredSurface, stored_surface
from robench.verification.task_data import TaskData
from robench.verification.training_log_check import LogCheck, check_log
from robench.verification.victims import (
    FoundVictim,
    NotThere,
    StoredVictim,
    VictimFinder,
    load,
    stored_victim,
)

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.models.victim import Victim
    from robench.text.scorer import Scorer
    from robench.text.sources import SubstituteSource
    from robench.text.surface import Surface
    from robench.text.surface_building import SurfaceRequest


@dataclass(frozen=True)
class Bench:
    """What a record was made from, as far as it is here.

    Attributes:
        record: the record.
        request: the evaluation of its cell.
        texts: the whole test set.
        test: the test set with the judged examples.
        found: the victim's folder.
        ready: the victim in memory.
        attack: the attack with its options.
        source: the substitution set.
        scorer: the language model, or None where the record used none.
        stored: the surface in the folder, or None where it is not there.
        task: name and data of the task; None where this machine does not have them.
    """

    record: Record
    request: EvaluationRequest
    texts: TestSet
    test: ResolvedTest
    found: FoundVictim
    ready: ReadyVictim
    attack: ResolvedAttack
    source: SubstituteSource
    scorer: Scorer | None
    stored: StoredSurface | None
    task: ResolvedTask | None

    @property
    def victim(self) -> Victim:
        """The classifier."""
        victim: Any = self.ready.victim
        return victim  # type: ignore[no-any-return]

    def surface_request(self, ids: frozenset[str] | None = None) -> SurfaceRequest:
        """Return what decides the surface of some of the judged examples; of all for None."""
        from robench.text.surface_building import SurfaceRequest

        examples = self.test.examples
        return SurfaceRequest(
            examples=[each for each in examples if ids is None or each.id in ids],
            attackable=self.texts.attackable,
            task=self.test.other or self.test.task,
            digest=self.test.digest,
            substitutions=self.source,
            protocol=self.ready.resolved.protocol,
            scorer=self.scorer,
            max_words=self.test.max_words,
        )

    def cell(self, surface: Surface) -> Cell:
        """Return the cell of the record on a surface."""
        threshold = self.ready.resolved.protocol.lm_threshold
        unknown = UnknownWords(surface, self.test.examples, self.victim, threshold, self.source)
        own = self.record.surface.own_key or self.record.surface.key
        model = "none" if self.scorer is None else self.scorer.identity
        return Cell(self.request, self.test, self.ready, self.attack, surface, own, model, unknown)


class Workshop:
    """Builds benches. Data, sets, models and the last victim are kept from record to record.

    Args:
        folders: the runs where trials, texts and victims lie.
        settings: what the user gave.
        device: a torch device string.
        scratch: an empty folder, where nothing is expected.
        report: receives the progress of the health checks.
    """

    def __init__(
        self,
        folders: Sequence[RunFolder],
        settings: VerificationSettings,
        device: str,
        scratch: Path,
        report: Reporter,
    ) -> None:
        self._folders, self._settings, self.device = folders, settings, device
        self._scratch, self._report = scratch, report
        self.victims = VictimFinder(folders, settings.victims)
        self.sets = SetSearch(settings, device)
        self.data = TaskData(settings)
        self._texts: dict[tuple[str, str], TestSet] = {}
        self._stored: dict[str, StoredSurface | None] = {}
        self._loaded: tuple[Path, Obtained] | None = None
        self._findings: dict[tuple[Path, str, str | None, str], ReadyVictim] = {}
        self._logs: dict[Path, LogCheck] = {}

    def texts(self, task: TaskPart) -> TestSet:
        """Return the test set of a record, whose digest is computed again.

        Raises:
            NotThere: no folder has it.
            RobenchError: it is damaged or another one.
        """
        key = task.file_part, task.digest
        if key not in self._texts:
            try:
                self._texts[key] = find_test_set(self._folders, task)
            except MissingTexts as error:
                raise NotThere(str(error)) from error
        return self._texts[key]

    def stored(self, key: str) -> StoredSurface | None:
        """Return the surface with this key in one of the folders; None where there is none."""
        if key not in self._stored:
            self._stored[key] = stored_surface([each.surfaces for each in self._folders], key)
        return self._stored[key]

    def load(self, found: FoundVictim) -> Obtained:
        """Return a victim in memory; the last one is kept."""
        if self._loaded is None or self._loaded[0] != found.folder:
            self._loaded = None
            self._loaded = found.folder, load(found, self.device)
        return self._loaded[1]

    def log_check(self, bench: Bench) -> LogCheck:
        """Return what the dev examples say of the victim's training; it is asked once."""
        assert bench.task is not None
        folder = bench.found.folder
        if folder not in self._logs:
            self._logs[folder] = check_log(bench.found, bench.victim, bench.task.splits.dev)
        return self._logs[folder]

    def request(self, record: Record) -> EvaluationRequest:
        """Return the evaluation that a record stands for."""
        return build_request(
            victims=("victim",),
            attacks=(record.attack.name,),
            tasks=(record.task.name,),
            seeds=(record.search.seed,),
            limit=record.limit,
            budget=record.search.budget,
            unknown=record.protocol.unknown,
            temperature=record.protocol.temperature,
            device=self.device,
            workers=self._settings.workers,
            example_seconds=self._settings.example_seconds,
            search_precision=record.search.precision,
            wait=0.0,
            out=self._scratch,
        )

    def test(
        self, subject: Record | Certificate, texts: TestSet, cls: type[Task], words: int
    ) -> ResolvedTest:
        """Return the test set of a record or certificate, with the judged examples."""
        from robench.text.substitutions import SubstitutionSet

        task, limit = subject.task, subject.limit
        judged = texts.examples if limit is None else balanced_prefix(texts.examples, limit)
        source = self.data.class_of(task.other_test or task.name)
        synthetic = task.synthetic if source is None else source.synthetic
        return ResolvedTest(
            task=task.name,
            other=task.other_test,
            test_name=task.test_name,
            digest=task.digest,
            total=len(texts.examples),
            whole=texts.examples,
            synthetic=synthetic,
            examples=judged,
            limit=limit,
            substitutions=SubstitutionSet("", "", {}),
            max_words=words,
            held_out=cls.held_out,
        )

    def bench(self, record: Record, found: FoundVictim) -> Bench:
        """Return everything that made a record.

        Raises:
            NotThere: something is not here.
            RobenchError: something is damaged or does not fit.
        """
        texts = self.texts(record.task)
        resolved = stored_victim(found, record, self.device, self.load(found))
        cls, request = resolved.task_class, self.request(record)
        plugin, _ = split_on(record.attack.name)
        if plugin not in ATTACKS.names() and ":" not in plugin:
            raise NotThere(f"its attack '{plugin}' is not installed here")
        protocol = resolved.protocol
        attack = resolve_attack(
            record.attack.name, ATTACKS.get(plugin), record.attack.options, protocol
        )
        source = self._source(record, cls, found, attack)
        stored = self.stored(record.surface.key)
        words = max_words(cls, texts.examples, [resolved])
        if stored is not None:
            words = max(words, stored.max_words)
        test = self.test(record, texts, cls, words)
        named: Mapping[str, Any] = {"substitutions": source}
        if attack.substitutions:
            named = {"sources": {attack.substitutions: source}}
        test = replace(test, **named)
        task = self._task(record, cls, test, resolved)
        ready = self._ready(record, request, task, resolved)
        scorer = self.sets.scorer(record)
        return Bench(
            record, request, texts, test, found, ready, attack, source, scorer, stored, task
        )

    def _source(
        self, record: Record, cls: type[Task], found: FoundVictim, attack: ResolvedAttack
    ) -> SubstituteSource:
        trained = found.card.get("substitutions")
        if attack.attack.outside:
            # Its surface is the task's own, which it does not search.
            own = next(self.sets.own_sets(cls, trained), None)
            if own is None:
                raise NotThere("the substitution set of its task is not here; give --data")
            return own
        return self.sets.find(record, cls, trained)

    def _task(
        self, record: Record, cls: type[Task], test: ResolvedTest, resolved: StoredVictim
    ) -> ResolvedTask | None:
        splits = self.data.splits(record.task)
        if splits is None:
            return None
        return ResolvedTask(record.task.name, cls, splits, [test], [resolved])

    def _ready(
        self,
        record: Record,
        request: EvaluationRequest,
        task: ResolvedTask | None,
        resolved: StoredVictim,
    ) -> ReadyVictim:
        """Return the victim with its findings and its temperature, where the data allow it."""
        obtained = resolved.loaded
        assert obtained is not None
        if task is None:
            if record.protocol.temperature != "none":
                raise NotThere(
                    "its temperature is fitted on the dev examples of its task, which are not "
                    "here. Give the folder of the data with --data."
                )
            return ReadyVictim(resolved, obtained, record.victim.findings)
        key = resolved.folder, record.task.name, record.task.other_test, record.protocol.name
        if key not in self._findings:
            self._findings[key] = HealthChecks(request, self._report).obtain(task, resolved)
        return replace(self._findings[key], resolved=resolved, obtained=obtained)
