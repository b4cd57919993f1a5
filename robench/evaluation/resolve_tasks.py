"""Resolve the tasks of a request: their data, their test sets and their victims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from robench._base.errors import UsageError
from robench.evaluation.given_victims import (
    check_saved,
    given_victims,
    is_trained_on,
    trained_on_other_rows,
)
from robench.evaluation.resolved import ResolvedTask, ResolvedTest
from robench.evaluation.resolved_victims import ResolvedVictim, TrainedVictim
from robench.evaluation.test_sets import resolve_tests
from robench.evaluation.training_guard import one_failure
from robench.plugins.option_routing import label
from robench.protocol import Protocol
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.checks import check_splits
from robench.tasks.loading import load_splits
from robench.tasks.registry import TASKS
from robench.tasks.resolving import find_task, is_own_data, task_name
from robench.training.registry import DEFENSES

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.substitution_sources import SetFinder
    from robench.models.given.function import FunctionVictim
    from robench.text.substitutions import SubstitutionSet


def _refuse_equal_rows(victims: Sequence[ResolvedVictim]) -> None:
    """Refuse two victims that would share a row of a table.

    Raises:
        UsageError: a name that the user gave is also the label of another victim.
    """
    seen: set[tuple[str, int]] = set()
    for victim in victims:
        place = victim.label, victim.seed
        if place in seen:
            raise UsageError(
                f"Two victims would have the row '{victim.label}'. Give one of them another name "
                "with --name."
            )
        seen.add(place)


@dataclass(frozen=True)
class TaskResolver:
    """Resolve the tasks of one request.

    Attributes:
        request: the request.
        protocol: the evaluation choices.
        device: a torch device string.
        options: name of a defense -> its options.
        functions: victims that are functions.
        finder: finds the substitution sets of the attacks; None where nothing is attacked.
        sets: names of these sets.
    """

    request: EvaluationRequest
    protocol: Protocol
    device: str
    options: Mapping[str, Mapping[str, Any]]
    functions: Sequence[FunctionVictim] = ()
    finder: SetFinder | None = None
    sets: Sequence[str] = ()

    def resolve(self, given_name: str, report: Reporter) -> ResolvedTask:
        """Read the data of a task and check its victims' configurations.

        Args:
            given_name: a registered name, a file or a dataset of the hub.
            report: receives the progress.

        Raises:
            UsageError: the data, a test set or a victim does not fit.
        """
        from robench.text.substitutions import load_substitutions

        request = self.request
        name = task_name(given_name)
        # A victim that robench trained on this file has seen the rows that are not test rows.
        split = bool(request.defenses) or is_trained_on(request.victims, name)
        cls = find_task(given_name, request.columns, training=split, hub=request.hub)
        self._check_defenses(name, cls, report)
        check_saved(request, name, cls)
        # A task that declares its fields can refuse a given victim before its data are read.
        given = self._given(name, cls, cls.fields) if cls.fields else None
        report.started("data", name, None)
        source = DataSource(request.data, request.hub)
        splits = load_splits(name, cls, source, train_pool=request.train_pool, ids=request.ids)
        check_splits(name, cls, splits, training=bool(self.options))
        substitutions = load_substitutions(cls.substitutions, request.data)
        report.finished(
            f"{len(splits.train):,} train, {len(splits.dev):,} dev and {len(splits.test):,} test "
            f"examples from {splits.origin}"
        )
        for remark in splits.remarks:
            report.message(remark)
        self._warn_of_seen_rows(given_name, splits, report)
        if given is None:
            given = self._given(name, cls, tuple(splits.test[0].fields))
        victims = [*self._victims(name, cls, splits, substitutions), *given]
        _refuse_equal_rows(victims)
        tests = resolve_tests(request, given_name, cls, splits, victims, report)
        tests = [self._with_sets(test, substitutions) for test in tests]
        return ResolvedTask(name, cls, splits, tests, victims)

    def _with_sets(self, test: ResolvedTest, trained: SubstitutionSet) -> ResolvedTest:
        """Return a test set with the substitution sets that the attacks name.

        Victims train on the task's own set, also where another test set has another one.
        """
        if self.finder is None:
            return test
        own = [test.substitutions, trained]
        sources = {name: self.finder.find(name, test.held_out, own) for name in self.sets if name}
        return replace(test, sources=sources)

    def _warn_of_seen_rows(self, given_name: str, splits: Splits, report: Reporter) -> None:
        """Say which saved victims may have been trained on test rows of a user's file."""
        request, name = self.request, task_name(given_name)
        if not is_own_data(given_name) or (request.tests and given_name not in request.tests):
            return
        train = splits.training_digests["train"]
        for location in trained_on_other_rows(request.victims, name, train):
            report.message(
                f"--victim {location} was trained on other rows than the training rows of "
                f"{name} here, so it may know test rows. Name the same files as in its training, "
                "or judge it on another file with --test."
            )

    def _given(self, name: str, cls: type[Task], fields: Sequence[str]) -> list[ResolvedVictim]:
        """Return the victims that the user gives."""
        return list(
            given_victims(
                self.request, self.functions, name, cls, fields, self.protocol, self.device
            )
        )

    def _check_defenses(self, name: str, cls: type[Task], report: Reporter) -> None:
        """Refuse a wrong option before the data are downloaded and read."""
        from robench.models.encoders import find_encoder
        from robench.training.request import build_defense

        encoder = find_encoder(self.request.encoder)
        for defense, values in self.options.items():
            with one_failure(f"Making the defense '{defense}'"):
                build_defense(
                    defense,
                    name,
                    encoder,
                    values,
                    task_class=cls,
                    settings_of=self.request.settings_of,
                )
        self._remark_on_settings(name, cls, report)

    def _remark_on_settings(self, name: str, cls: type[Task], report: Reporter) -> None:
        """Say which defenses have settings for other tasks only."""
        from robench.training.request import settings_task

        # Nobody published settings for synthetic texts, and their numbers mean nothing.
        if cls.synthetic:
            return
        own: list[str] = []
        others: set[str] = set()
        for defense in self.options:
            known = DEFENSES.get(defense)
            if known.task_defaults and not settings_task(
                known, name, cls, self.request.settings_of
            ):
                own.append(defense)
                others |= {each for each in known.task_defaults if each in TASKS.names()}
        real = [each for each in sorted(others) if not TASKS.get(each).synthetic]
        if own and real:
            report.message(
                f"For '{name}' there are no published settings of {', '.join(own)}, so the general "
                f"defaults are used. Take those of another task with --settings-of "
                f"{' or '.join(real)}, or set single values with --option."
            )

    def _victims(
        self, task: str, cls: type[Task], splits: Splits, substitutions: SubstitutionSet
    ) -> Iterator[ResolvedVictim]:
        """Yield the victims that are trained, defense by defense and seed by seed."""
        from robench.training.request import FitRequest

        for defense, values in self.options.items():
            for seed in self.request.seeds:
                fit = FitRequest(
                    defense=defense,
                    task=task,
                    splits=splits,
                    encoder=self.request.encoder,
                    protocol=self.protocol,
                    substitutions=substitutions,
                    seed=seed,
                    options=values,
                    precision=self.request.precision,
                    device=self.device,
                    trackers=self.request.trackers,
                    task_class=cls,
                    settings_of=self.request.settings_of,
                )
                with one_failure(f"Making the defense '{defense}'"):
                    # The key finds and hashes the encoder. A missing file should be reported now
                    # and not after hours of training of another victim.
                    _ = fit.key
                    if seed == self.request.seeds[0]:
                        fit.check()
                    defaults = replace(fit, options={}, settings_of="").resolved
                    row = label(defense, fit.resolved, defaults)
                yield TrainedVictim(row, fit)
