"""Everything that an evaluation needs, found and checked before anything is trained."""

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


@dataclass(frozen=True)
class ResolvedAttack:
    """One attack with its options.

    Attributes:
        constrained: whether the protocol and the attack ask for the language-model constraint.
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
        """SHA-256 of the plugin's source file."""
        return code_sha256(type(self.attack))


@dataclass(frozen=True)
class ResolvedVictim:
    """One defense with one seed on one task."""

    label: str
    fit: FitRequest

    @property
    def code_sha256(self) -> str | None:
        """SHA-256 of the source of the plugin, or of all members of a joint one."""
        return code_sha256(DEFENSES.get(self.fit.defense))


@dataclass(frozen=True)
class ResolvedTask:
    """One task with its data.

    Attributes:
        examples: those that will be attacked, sorted by id.
        limit: their number if they are fewer than the whole test split, else None.
        victims: defense by defense, seed by seed.
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
    """A request with every name resolved. ``scorer`` is None for ``--lm none`` and where nothing is attacked."""

    protocol: Protocol
    device: str
    scorer: Scorer | None
    attacks: Sequence[ResolvedAttack]
    tasks: Sequence[ResolvedTask]

    def surface_request(self, task: ResolvedTask) -> SurfaceRequest:
        """What decides the surface of ``task``."""
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
    """Refuse what names nothing, long before ``resolve_request`` can: names of plugins and of the protocol without importing anything, then options, for which the
    chosen plugins are imported but not what trains, searches or makes tables.

    Raises:
        UsageError: such a name. BrokenPlugin: a plugin that options are given beside cannot be imported.
    """
    get_protocol(request.protocol)
    defenses, attacks, tasks = (
        _wanted(DEFENSES, request.defenses),
        _wanted(ATTACKS, request.attacks),
        _wanted(TASKS, request.tasks),
    )
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
    """Resolve names and options, read the data, load the language model (unless nothing will be ``searching``).

    Raises:
        UsageError: a name, option, file or device is wrong or missing. BrokenPlugin: a chosen plugin cannot be imported.
    """
    protocol, device = get_protocol(request.protocol), choose_device(request.device)
    defenses, attacks = _chosen(DEFENSES, request.defenses), _chosen(ATTACKS, request.attacks)
    tasks = _chosen(TASKS, request.tasks)
    of_defense, of_attack = route_options(
        request.options,
        {name: cls.Options for name, cls in defenses.items()},
        {name: cls.Options for name, cls in attacks.items()},
    )
    chosen = [_attack(name, cls, of_attack[name], protocol) for name, cls in attacks.items()]
    scorer = _scorer(request, protocol, device) if chosen and searching else None
    prepared = [
        _Task(request, protocol, device, of_defense).inputs(name, cls, report)
        for name, cls in tasks.items()
    ]
    return ResolvedRequest(protocol, device, scorer, chosen, prepared)


def _chosen(registry: Registry[Plugin], names: Sequence[str]) -> dict[str, type[Plugin]]:
    """Name -> class, in the order asked for."""
    return {name: registry.get(name) for name in _wanted(registry, names)}


def _wanted(registry: Registry[Any], names: Sequence[str]) -> list[str]:
    """Each name once; ``all`` stands for every one that is known."""
    return list(
        dict.fromkeys(
            name for asked in names for name in (registry.names() if asked == ALL else [asked])
        )
    )


def _attack(
    name: str, cls: type[Attack], values: Mapping[str, Any], protocol: Protocol
) -> ResolvedAttack:
    options = build_options(cls.Options, values, f"attack '{name}'")
    constrained = not cls.outside and (protocol.surface == "constrained" or cls.language_model)
    attack = cls(options)
    attack.check()
    return ResolvedAttack(name, label(name, options, cls.Options()), attack, constrained)


def _scorer(request: EvaluationRequest, protocol: Protocol, device: str) -> Scorer | None:
    from robench.text.language_model import build_scorer

    return build_scorer(request.lm, device, protocol.lm_radius)


@dataclass(frozen=True)
class _Task:
    """What the tasks of one request share while they are prepared."""

    request: EvaluationRequest
    protocol: Protocol
    device: str
    options: Mapping[str, Mapping[str, Any]]

    def inputs(self, name: str, cls: type[Task], report: Reporter) -> ResolvedTask:
        from robench.models.encoders import find_encoder
        from robench.text.substitutions import load_substitutions
        from robench.training.request import build_defense

        for defense, values in self.options.items():
            build_defense(
                defense, name, find_encoder(self.request.encoder), values
            )  # a wrong value is better said before data are fetched and read
        report.started("data", name, None)
        source = DataSource(self.request.data, self.request.hub)
        splits = cls().load(source, train_pool=self.request.train_pool, ids=self.request.ids)
        substitutions = load_substitutions(cls.substitutions, self.request.data)
        examples, limit = self._limited(name, splits.test, report)
        victims = list(self._victims(name, splits, substitutions))
        report.finished(
            f"{len(splits.train):,} train, {len(splits.dev):,} dev and {len(splits.test):,} test examples from {splits.origin}"
        )
        for remark in splits.remarks:
            report.message(remark)
        return ResolvedTask(name, cls, splits, examples, limit, substitutions, victims)

    def _limited(
        self, name: str, test: Sequence[Example], report: Reporter
    ) -> tuple[Sequence[Example], int | None]:
        limit = self.request.limit
        if limit is not None and limit >= len(test):
            report.message(
                f"{name} has {len(test)} test examples, so --limit {limit} leaves nothing out."
            )
            limit = None
        return (test, None) if limit is None else (balanced_prefix(test, limit), limit)

    def _victims(
        self, task: str, splits: Splits, substitutions: SubstitutionSet
    ) -> Iterator[ResolvedVictim]:
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
                )
                _ = fit.key  # finds and hashes the encoder: better now than after another victim's hours of training
                if seed == self.request.seeds[0]:
                    fit.check()
                yield ResolvedVictim(
                    label(defense, fit.resolved, replace(fit, options={}).resolved), fit
                )


def balanced_prefix(examples: Sequence[Example], size: int) -> list[Example]:
    """The first ``size`` examples when the labels take turns, each in id order; sorted by id.

    A smaller prefix is always part of a larger one, so a later run with a higher limit goes on where this one ended.

    Raises:
        UsageError: ``size`` is not positive.
    """
    if size < 1:
        raise UsageError(f"--limit must be at least 1, got {size}.")
    turns: list[tuple[int, int, Example]] = []
    seen: dict[int, int] = {}
    for example in sorted(examples, key=lambda example: example.id):
        turns.append((seen.get(example.label, 0), example.label, example))
        seen[example.label] = seen.get(example.label, 0) + 1
    first = sorted(turns, key=lambda turn: turn[:2])[:size]
    return sorted((example for _, _, example in first), key=lambda example: example.id)
