"""Resolve a request: find and check everything that it names before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from robench._base.environment import choose_device
from robench._base.errors import UsageError
from robench.evaluation.given_victims import (
    check_locations,
    choose_protocol,
    warn_of_lost_head,
    with_downloads,
)
from robench.evaluation.resolve_tasks import TaskResolver
from robench.evaluation.resolved import ResolvedAttack, ResolvedRequest, ResolvedTask, can_attack
from robench.evaluation.same_searches import refuse_same_searches
from robench.evaluation.substitution_sources import (
    EMBEDDINGS,
    HELD_OUT,
    SetFinder,
    check_set,
    set_label,
)
from robench.evaluation.temperature import check_temperature
from robench.models.fetched_encoders import FETCHED, check_masked_head
from robench.plugins.names import FAMILY, ON, canonical, split_on
from robench.plugins.option_routing import check_owners, label, route_options
from robench.plugins.options import build_options
from robench.plugins.registry import Registry
from robench.protocol import Protocol, get_protocol
from robench.search.registry import ATTACK_FAMILIES, ATTACKS
from robench.tasks.registry import TASKS
from robench.tasks.resolving import ALL, check_tasks, expand_tasks, is_own_data
from robench.training.registry import DEFENSES

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.given.function import FunctionVictim
    from robench.search.attack import Attack
    from robench.text.scorer import Scorer

Plugin = TypeVar("Plugin")

TRUSTED = (
    "Warning: --trust-remote-code is on, so Python files in the folders of given models and of "
    "language models may run with your rights. Records say whether any did."
)
"""What a run says where foreign code is allowed."""
OF_TRAINING = ("encoder", "settings_of", "precision", "retrain", "parallel_victims")
"""Options that are about training only."""


def check_names(request: EvaluationRequest, functions: Sequence[FunctionVictim] = ()) -> None:
    """Check the names and options of a request before anything heavy is imported.

    Names of the protocol and of plugins are checked without importing a plugin. If there are
    options, the chosen plugins are imported, but not the code for training, search and tables.

    Raises:
        UsageError: a name or an option does not exist, there is no victim, or the files of a
            fetched encoder are missing.
        BrokenPlugin: there are options, and a chosen plugin cannot be imported.
    """
    _refuse_no_victims(request, functions)
    if request.protocol is not None:
        get_protocol(request.protocol)
    defenses = _expand(DEFENSES, request.defenses)
    attacks = _expand(ATTACKS, request.attacks)
    if request.settings_of:
        TASKS.check(request.settings_of)
    for registry, names in ((DEFENSES, defenses), (ATTACKS, attacks)):
        for name in names:
            registry.check(split_on(name)[0])
    for name in attacks:
        check_set_of(name)
    tasks = _expand(TASKS, request.tasks)
    check_tasks([*tasks, *request.tests])
    # The columns may be about a test set as well.
    if not any(map(is_own_data, request.tests)):
        check_tasks(tasks, request.columns)
    check_locations(request)
    _check_fetched(request)
    check_owners(request.options, defenses, attacks)
    if request.options:
        route_options(
            request.options,
            {name: DEFENSES.get(name).Options for name in defenses},
            {name: ATTACKS.get(split_on(name)[0]).Options for name in attacks},
        )


def _check_fetched(request: EvaluationRequest) -> None:
    """Refuse a fetched encoder without its files, or as a language model if it is none."""
    if request.defenses and request.encoder in FETCHED:
        FETCHED[request.encoder].check()
    kind, _, model = request.lm.partition(":")
    if kind in ("masked", "causal"):
        check_masked_head(model)


def check_set_of(attack: str) -> None:
    """Refuse an attack's substitution set that does not exist, or an ``@`` without one.

    A set is refused as well where a family of attacks takes none.

    Raises:
        UsageError: see above.
    """
    plugin, wanted = split_on(attack)
    prefix, of_family, _ = plugin.partition(FAMILY)
    if wanted and of_family and ATTACK_FAMILIES.get(prefix).outside:
        raise _takes_no_set(plugin, wanted)
    if wanted:
        check_set(wanted)
    elif ON in attack:
        raise UsageError(
            f"'{attack}' names no substitution set after '{ON}'. Write {plugin} for the task's own "
            f"set, or {plugin}{ON}{HELD_OUT}."
        )


def _takes_no_set(plugin: str, wanted: str) -> UsageError:
    return UsageError(
        f"Attack '{plugin}' writes texts of its own and searches no substitution set. Leave "
        f"'{ON}{wanted}' out."
    )


def resolve_request(
    request: EvaluationRequest,
    report: Reporter,
    *,
    searching: bool = True,
    functions: Sequence[FunctionVictim] = (),
) -> ResolvedRequest:
    """Resolve names and options, read the data, and load the language model.

    Args:
        request: the request.
        report: receives the progress.
        searching: whether anything will be attacked. Otherwise no language model is loaded.
        functions: victims that are functions.

    Raises:
        UsageError: a name, an option, a file or the device is wrong or missing.
        BrokenPlugin: a chosen plugin cannot be imported.
    """
    _refuse_no_victims(request, functions)
    for name in request.attacks:
        check_set_of(name)
    _check_unknown(request, functions)
    request = with_downloads(request, report)
    protocol, device = choose_protocol(request, functions, report), choose_device(request.device)
    warn_of_lost_head(request, report)
    if request.trust_remote_code:
        report.message(TRUSTED)
    if request.trackers:
        from robench.training.tracking import check_trackers

        check_trackers(request.trackers)
    _tell_of_idle_options(request, report)
    defenses, attacks = _classes(DEFENSES, request.defenses), _classes(ATTACKS, request.attacks)
    of_defense, of_attack = route_options(
        request.options,
        {name: cls.Options for name, cls in defenses.items()},
        {name: cls.Options for name, cls in attacks.items()},
    )
    resolved_attacks = [
        resolve_attack(name, cls, of_attack[name], protocol) for name, cls in attacks.items()
    ]
    scorer = None
    if resolved_attacks and searching:
        scorer = _load_scorer(request, protocol, device)
    _refuse_equal_columns(resolved_attacks)
    finder = SetFinder(request.data, request.encoder, request.lm, device, request.trust_remote_code)
    sets = tuple(dict.fromkeys(each.substitutions for each in resolved_attacks if searching))
    resolver = TaskResolver(request, protocol, device, of_defense, functions, finder, sets)
    tasks = [resolver.resolve(name, report) for name in expand_tasks(request.tasks)]
    refuse_same_searches(resolved_attacks, tasks, report)
    check_temperature(request, tasks)
    _refuse_empty_shards(request, tasks)
    _check_access(request, tasks, resolved_attacks, report)
    return ResolvedRequest(protocol, device, scorer, resolved_attacks, tasks)


def _refuse_empty_shards(request: EvaluationRequest, tasks: Sequence[ResolvedTask]) -> None:
    """Refuse more shards than there are examples, before anything is trained."""
    for test in (test for task in tasks for test in task.tests):
        number = len(test.examples)
        if request.shard is not None and request.shard.of > number:
            raise UsageError(
                f"--shard {request.shard}: there are {number} examples to judge on {test.title}, "
                f"so some shards would be empty. Use {number} shards at most."
            )


def _refuse_equal_columns(attacks: Sequence[ResolvedAttack]) -> None:
    """Refuse two attacks that a table could not tell apart: sets of one name from two folders."""
    seen: dict[str, ResolvedAttack] = {}
    for attack in attacks:
        other = seen.setdefault(attack.name, attack)
        if other is not attack:
            raise UsageError(
                f"'{other.substitutions}' and '{attack.substitutions}' would both have the column "
                f"'{attack.name}'. Rename one of the files."
            )


def _tell_of_idle_options(request: EvaluationRequest, report: Reporter) -> None:
    """Name the options of training that a run without training does not use."""
    if request.defenses:
        return
    used = (
        {"encoder"} if any(split_on(name)[1] == EMBEDDINGS for name in request.attacks) else set()
    )
    idle = [
        f"--{name.replace('_', '-')}"
        for name in OF_TRAINING
        if name not in used and getattr(request, name) != type(request).model_fields[name].default
    ]
    if idle:
        report.message(f"Nothing is trained, so these options have no effect: {', '.join(idle)}.")


def _check_unknown(request: EvaluationRequest, functions: Sequence[FunctionVictim]) -> None:
    """Refuse to remove the unknown words of a function, which nobody knows."""
    if request.unknown == "forbidden" and functions:
        raise UsageError(
            "--unknown forbidden removes the words that a victim's tokenizer does not know, and "
            f"the function '{functions[0].name}' does not say which words it knows. Leave it out."
        )


def _check_access(
    request: EvaluationRequest,
    tasks: Sequence[ResolvedTask],
    attacks: Sequence[ResolvedAttack],
    report: Reporter,
) -> None:
    """Say which attacks some victims cannot have, and refuse an attack that none can have."""
    victims = [victim for task in tasks for victim in task.victims]
    for attack in attacks:
        without = [victim.label for victim in victims if not can_attack(attack, victim)]
        if not without:
            continue
        names = ", ".join(dict.fromkeys(without))
        why = (
            f"Attack '{attack.name}' needs gradients, which robench has only for victims that it "
            "trained"
        )
        if len(without) == len(victims) and ALL not in request.attacks:
            raise UsageError(f"{why}, and not for {names}. Choose another attack.")
        report.message(f"{why}. It is left out for {names}.")


def _refuse_no_victims(request: EvaluationRequest, functions: Sequence[FunctionVictim]) -> None:
    if not (request.defenses or request.victims or functions):
        raise UsageError(
            "There is no victim: --defense NAME trains one, and --victim FOLDER attacks a model "
            "that exists."
        )


def _classes(registry: Registry[Plugin], names: Sequence[str]) -> dict[str, type[Plugin]]:
    """Return name -> class, in the order of ``names``.

    ``all`` leaves out the attacks that say so (``Attack.in_all``).
    """
    classes = {name: registry.get(split_on(name)[0]) for name in _expand(registry, names)}
    return {
        name: cls
        for name, cls in classes.items()
        if name in names or (getattr(cls, "in_all", True) and not _lacks_set(name, cls))
    }


def _lacks_set(name: str, cls: type[Any]) -> bool:
    """Return whether ``all@SET`` must leave an attack out, because it searches no set."""
    return ON in name and (getattr(cls, "outside", False) or not getattr(cls, "searches", True))


def expanded_defenses(names: Sequence[str]) -> list[str]:
    """Return the names of defenses, each once, with ``all`` replaced by every registered name."""
    return list(dict.fromkeys(map(canonical, _expand(DEFENSES, names))))


def _expand(registry: Registry[Any], names: Sequence[str]) -> list[str]:
    """Return ``names`` without duplicates, with ``all`` replaced by every registered name.

    ``all@wordnet`` becomes every name with ``@wordnet``.
    """
    expanded: list[str] = []
    for name in names:
        plugin, wanted = split_on(name)
        each = registry.names() if plugin == ALL else [plugin]
        expanded += [f"{one}{ON}{wanted}" if ON in name else one for one in each]
    return list(dict.fromkeys(expanded))


def resolve_attack(
    name: str, cls: type[Attack], values: Mapping[str, Any], protocol: Protocol
) -> ResolvedAttack:
    """Return an attack with its options, checked.

    Args:
        name: registered name, and perhaps a substitution set: ``"pwws@wordnet"``.
        cls: its class.
        values: its options.
        protocol: the evaluation choices.

    Raises:
        UsageError: an option is wrong, or the attack searches no substitution set.
    """
    plugin, wanted = split_on(name)
    if wanted and cls.outside:
        raise _takes_no_set(plugin, wanted)
    if wanted and not cls.searches:
        raise UsageError(
            f"Attack '{plugin}' changes no word, so it takes no substitution set. Leave "
            f"'{ON}{wanted}' out."
        )
    options = build_options(cls.Options, values, f"attack '{plugin}'")
    constrained = not cls.outside and (protocol.surface == "constrained" or cls.language_model)
    attack = cls(options)
    attack.check()
    shown = f"{plugin}{ON}{set_label(wanted)}" if wanted else plugin
    return ResolvedAttack(
        shown,
        label(shown, options, cls.Options()),
        attack,
        constrained,
        plugin,
        "" if cls.outside else wanted or cls.substitutions,
    )


def _load_scorer(request: EvaluationRequest, protocol: Protocol, device: str) -> Scorer | None:
    from robench.text.language_model import build_scorer

    return build_scorer(
        request.lm, device, protocol.lm_radius, foreign_code=request.trust_remote_code
    )
