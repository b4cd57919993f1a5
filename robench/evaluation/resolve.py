"""Resolve a request: find and check everything that it names before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from robench._base.code_hash import code_sha256
from robench._base.environment import choose_device
from robench._base.errors import UsageError
from robench.plugins.option_routing import check_owners, label, route_options
from robench.plugins.options import build_options
from robench.plugins.registry import Registry
from robench.protocol import Protocol, get_protocol
from robench.search.registry import ATTACKS
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.checks import check_splits
from robench.tasks.example import Example
from robench.tasks.registry import TASKS
from robench.training.registry import DEFENSES

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.search.attack import Attack
    from robench.text.scorer import Scorer
    from robench.text.substitutions import SubstitutionSet
    from robench.text.surface_building import SurfaceRequest
    from robench.training.request import FitRequest

Plugin = TypeVar("Plugin")

ALL = "all"
"""Stands for every registered name."""


@dataclass(frozen=True)
class ResolvedAttack:
    """An attack with its options.

    Attributes:
        name: registered name.
        label: the name, followed by the options that differ from the defaults.
        attack: the attack.
        constrained: whether the language model constrains it, by the protocol or by its own
            choice.
    """

    name: str
    label: str
    attack: Attack
    constrained: bool

    @property
    def options(self) -> dict[str, Any]:
        """All options as plain data."""
        return self.attack.options.model_dump(mode="json")

    @property
    def code_sha256(self) -> str | None:
        """Hash of what the plugin's code does; for a guest, of its whole package."""
        return code_sha256(type(self.attack))


@dataclass(frozen=True)
class ResolvedVictim:
    """A victim to be trained: one defense with one seed on one task.

    Attributes:
        label: name of the defense, followed by the options that differ from the defaults.
        fit: the training configuration.
    """

    label: str
    fit: FitRequest

    @property
    def code_sha256(self) -> str | None:
        """Hash of the code of the plugin, or of all members of a joint defense."""
        return code_sha256(DEFENSES.get(self.fit.defense))


@dataclass(frozen=True)
class ResolvedTask:
    """A task with its data.

    Attributes:
        name: registered name.
        task: its class.
        splits: train, dev and test.
        examples: the examples that are attacked, sorted by id.
        limit: number of these examples if it is below the size of the test split, else None.
        substitutions: which words may replace which.
        victims: the victims, defense by defense and seed by seed.
    """

    name: str
    task: type[Task]
    splits: Splits
    examples: Sequence[Example]
    limit: int | None
    substitutions: SubstitutionSet
    victims: Sequence[ResolvedVictim]


@dataclass(frozen=True)
class ResolvedRequest:
    """A request with every name resolved.

    Attributes:
        protocol: the evaluation choices.
        device: a torch device string.
        scorer: the language model. None for ``--lm none`` and if nothing is attacked.
        attacks: the attacks.
        tasks: the tasks.
    """

    protocol: Protocol
    device: str
    scorer: Scorer | None
    attacks: Sequence[ResolvedAttack]
    tasks: Sequence[ResolvedTask]

    def surface_request(self, task: ResolvedTask) -> SurfaceRequest:
        """Return everything that decides the surface of ``task``."""
        from robench.text.surface_building import SurfaceRequest

        return SurfaceRequest(
            examples=task.examples,
            attackable=task.task.attackable,
            task=task.name,
            digest=task.splits.digest,
            substitutions=task.substitutions,
            protocol=self.protocol,
            scorer=self.scorer,
            max_words=task.task.max_tokens,
        )


def check_names(request: EvaluationRequest) -> None:
    """Check the names and options of a request before anything heavy is imported.

    Names of the protocol and of plugins are checked without importing a plugin. If there are
    options, the chosen plugins are imported, but not the code for training, search and tables.

    Raises:
        UsageError: a name or an option does not exist.
        BrokenPlugin: there are options, and a chosen plugin cannot be imported.
    """
    get_protocol(request.protocol)
    defenses = _expand(DEFENSES, request.defenses)
    attacks = _expand(ATTACKS, request.attacks)
    tasks = _expand(TASKS, request.tasks)
    if request.settings_of:
        TASKS.check(request.settings_of)
    for registry, names in ((DEFENSES, defenses), (ATTACKS, attacks), (TASKS, tasks)):
        for name in names:
            registry.check(name)
    check_owners(request.options, defenses, attacks)
    if request.options:
        route_options(
            request.options,
            {name: DEFENSES.get(name).Options for name in defenses},
            {name: ATTACKS.get(name).Options for name in attacks},
        )


def resolve_request(
    request: EvaluationRequest, report: Reporter, *, searching: bool = True
) -> ResolvedRequest:
    """Resolve names and options, read the data, and load the language model.

    Args:
        request: the request.
        report: receives the progress.
        searching: whether anything will be attacked. Otherwise no language model is loaded.

    Raises:
        UsageError: a name, an option, a file or the device is wrong or missing.
        BrokenPlugin: a chosen plugin cannot be imported.
    """
    protocol, device = get_protocol(request.protocol), choose_device(request.device)
    defenses, attacks = _classes(DEFENSES, request.defenses), _classes(ATTACKS, request.attacks)
    tasks = _classes(TASKS, request.tasks)
    of_defense, of_attack = route_options(
        request.options,
        {name: cls.Options for name, cls in defenses.items()},
        {name: cls.Options for name, cls in attacks.items()},
    )
    resolved_attacks = [
        _resolve_attack(name, cls, of_attack[name], protocol) for name, cls in attacks.items()
    ]
    scorer = None
    if resolved_attacks and searching:
        scorer = _load_scorer(request, protocol, device)
    resolver = _TaskResolver(request, protocol, device, of_defense)
    resolved_tasks = [resolver.resolve(name, cls, report) for name, cls in tasks.items()]
    return ResolvedRequest(protocol, device, scorer, resolved_attacks, resolved_tasks)


def _classes(registry: Registry[Plugin], names: Sequence[str]) -> dict[str, type[Plugin]]:
    """Return name -> class, in the order of ``names``."""
    return {name: registry.get(name) for name in _expand(registry, names)}


def _expand(registry: Registry[Any], names: Sequence[str]) -> list[str]:
    """Return ``names`` without duplicates, with ``all`` replaced by every registered name."""
    expanded: list[str] = []
    for name in names:
        expanded += registry.names() if name == ALL else [name]
    return list(dict.fromkeys(expanded))


def _resolve_attack(
    name: str, cls: type[Attack], values: Mapping[str, Any], protocol: Protocol
) -> ResolvedAttack:
    options = build_options(cls.Options, values, f"attack '{name}'")
    constrained = not cls.outside and (protocol.surface == "constrained" or cls.language_model)
    attack = cls(options)
    attack.check()
    return ResolvedAttack(name, label(name, options, cls.Options()), attack, constrained)


def _load_scorer(request: EvaluationRequest, protocol: Protocol, device: str) -> Scorer | None:
    from robench.text.language_model import build_scorer

    return build_scorer(request.lm, device, protocol.lm_radius)


@dataclass(frozen=True)
class _TaskResolver:
    """Resolve the tasks of one request.

    Attributes:
        request: the request.
        protocol: the evaluation choices.
        device: a torch device string.
        options: name of a defense -> its options.
    """

    request: EvaluationRequest
    protocol: Protocol
    device: str
    options: Mapping[str, Mapping[str, Any]]

    def resolve(self, name: str, cls: type[Task], report: Reporter) -> ResolvedTask:
        """Read the data of a task and check its victims' configurations."""
        from robench.models.encoders import find_encoder
        from robench.text.substitutions import load_substitutions
        from robench.training.request import build_defense

        # A wrong value should be reported before the data are downloaded and read.
        for defense, values in self.options.items():
            encoder = find_encoder(self.request.encoder)
            build_defense(
                defense,
                name,
                encoder,
                values,
                task_class=cls,
                settings_of=self.request.settings_of,
            )
        self._remark_on_settings(name, cls, report)
        report.started("data", name, None)
        source = DataSource(self.request.data, self.request.hub)
        splits = cls().load(source, train_pool=self.request.train_pool, ids=self.request.ids)
        check_splits(name, cls, splits, training=bool(self.options))
        substitutions = load_substitutions(cls.substitutions, self.request.data)
        examples, limit = self._select(name, splits.test, report)
        victims = list(self._victims(name, cls, splits, substitutions))
        report.finished(
            f"{len(splits.train):,} train, {len(splits.dev):,} dev and {len(splits.test):,} test "
            f"examples from {splits.origin}"
        )
        for remark in splits.remarks:
            report.message(remark)
        return ResolvedTask(name, cls, splits, examples, limit, substitutions, victims)

    def _select(
        self, name: str, test: Sequence[Example], report: Reporter
    ) -> tuple[Sequence[Example], int | None]:
        """Return the examples to attack, and their number if the limit has an effect."""
        limit = self.request.limit
        if limit is None:
            return test, None
        if limit >= len(test):
            report.message(
                f"{name} has {len(test)} test examples, so --limit {limit} has no effect."
            )
            return test, None
        return balanced_prefix(test, limit), limit

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
                others |= set(known.task_defaults)
        if own:
            report.message(
                f"For '{name}' there are no published settings of {', '.join(own)}, so the general "
                f"defaults are used. Take those of another task with --settings-of "
                f"{' or '.join(sorted(others))}, or set single values with --option."
            )

    def _victims(
        self, task: str, cls: type[Task], splits: Splits, substitutions: SubstitutionSet
    ) -> Iterator[ResolvedVictim]:
        """Return the victims of a task, defense by defense and seed by seed."""
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
                    tracker=self.request.tracker,
                    task_class=cls,
                    settings_of=self.request.settings_of,
                )
                # The key finds and hashes the encoder. A missing file should be reported now and
                # not after hours of training of another victim.
                _ = fit.key
                if seed == self.request.seeds[0]:
                    fit.check()
                defaults = replace(fit, options={}, settings_of="").resolved
                yield ResolvedVictim(label(defense, fit.resolved, defaults), fit)


def balanced_prefix(examples: Sequence[Example], size: int) -> list[Example]:
    """Return the first ``size`` examples, with the labels in turn.

    Within a label the examples are taken in the order of their ids. The result is sorted by id.
    A smaller prefix is always part of a larger one, so a run with a higher limit reuses the
    trials of one with a lower limit.

    Raises:
        UsageError: ``size`` is not positive.
    """
    if size < 1:
        raise UsageError(f"--limit must be at least 1, got {size}.")
    turns: list[tuple[int, int, Example]] = []
    seen: dict[int, int] = {}
    for example in sorted(examples, key=lambda example: example.id):
        turn = seen.get(example.label, 0)
        turns.append((turn, example.label, example))
        seen[example.label] = turn + 1
    first = sorted(turns, key=lambda turn: turn[:2])[:size]
    return sorted((example for _, _, example in first), key=lambda example: example.id)
