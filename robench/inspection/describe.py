"""What ``robench show`` says about one name, as plain data."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.inspection.catalogue import REGISTRY_OF_KIND
from robench.plugins.names import canonical
from robench.tasks.registry import TASKS
from robench.tasks.resolving import check_tasks, find_task, is_own_data, task_name

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from robench.models.fetched_encoders import FetchedEncoder
    from robench.plugins.options import Options
    from robench.tasks.columns import DataColumns

_BOUND_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def describe(kind: str, name: str, columns: DataColumns | None = None) -> dict[str, Any]:
    """Return everything known about one attack, defense, task, encoder or protocol.

    The result can be written as JSON.

    Args:
        kind: ``"attack"``, ``"defense"``, ``"task"``, ``"encoder"`` or ``"protocol"``.
        name: its name, or the user's own file as a task.
        columns: what the user says about the file.

    Raises:
        UsageError: there is no such name, its plugin cannot be imported, the file cannot be used as
            it is, or ``columns`` says something and the name is no file.
    """
    own = kind == "task" and is_own_data(name)
    if columns is not None and columns.given and not own:
        raise UsageError(
            f"{', '.join(columns.given)}: this is about a file of your own data, and '{name}' is "
            "none. Leave it out."
        )
    if kind == "encoder":
        return _describe_encoder(name)
    if kind == "protocol":
        return _describe_protocol(name)
    if own:
        return _describe_own_data(name, columns)
    registry, name = REGISTRY_OF_KIND[kind], canonical(name)
    plugin = registry.get(name)
    facts: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "origin": registry.origin(name),
        "summary": (inspect.getdoc(plugin) or "").strip(),
        "paper": plugin.paper,
        "deviations": list(getattr(plugin, "deviations", ())),
    }
    return facts | (_describe_task(plugin) if kind == "task" else _describe_method(plugin))


def _describe_method(plugin: Any) -> dict[str, Any]:
    """Describe what is particular to an attack or a defense."""
    facts: dict[str, Any] = {}
    # Only attacks say what they may see of the victim.
    if hasattr(plugin, "access"):
        facts["sees"] = plugin.access if plugin.searches else "nothing"
        facts["queries"] = plugin.cost
        if plugin.outside:
            facts["surface"] = (
                "outside: it writes texts of its own, and its results are in separate tables"
            )
        else:
            binds = "binds it" if plugin.language_model else "does not bind it"
            facts["language_model_constraint"] = (
                f"{binds} where a protocol's surface is as published"
            )
    settings = _settings_by_task(plugin) if hasattr(plugin, "task_defaults") else {}
    return facts | {"options": describe_options(plugin.Options, settings)}


def _settings_by_task(defense: Any) -> dict[str, dict[str, Any]]:
    """Collect the settings of a defense that differ from its defaults, by task.

    The tasks are all built-in ones and those that the defense has settings for.
    """
    settings: dict[str, dict[str, Any]] = {}
    for entry in TASKS.entries():
        if entry.origin == "built-in":
            settings[entry.name] = dict(TASKS.get(entry.name).training)
    for task, values in defense.task_defaults.items():
        settings[task] = settings.get(task, {}) | dict(values)
    return settings


def _describe_own_data(name: str, columns: DataColumns | None) -> dict[str, Any]:
    """Describe a file or a hub dataset as a task; what nobody says of its columns is guessed."""
    from robench.tasks.base import DataSource

    check_tasks([name], columns)
    task = find_task(name, columns)
    splits = task().load(DataSource())
    sizes = {part: f"{len(getattr(splits, part)):,}" for part in ("train", "dev", "test")}
    return {
        "kind": "task",
        "name": task_name(name),
        "origin": splits.origin,
        "summary": (inspect.getdoc(task) or "").strip(),
        **_describe_task(task),
        "fields": list(task.fields),
        "examples": sizes,
        "remarks": list(splits.remarks),
    }


def _describe_task(plugin: Any) -> dict[str, Any]:
    return {
        "labels": list(plugin.labels),
        "attackable_field": plugin.attackable,
        "window": f"{plugin.max_tokens} tokens, special tokens included",
        "substitutions": plugin.substitutions,
        "training_pools": list(plugin.train_pools),
        "licence": plugin.licence,
    }


def _describe_encoder(name: str) -> dict[str, Any]:
    from robench.models.encoders import ENCODERS

    if name not in ENCODERS:
        raise UsageError(
            f"No encoder is called '{name}' here.{did_you_mean(name, ENCODERS)} "
            "See 'robench list encoders'; --encoder also takes any hub id or local folder."
        )
    info = ENCODERS[name]
    return {
        "kind": "encoder",
        "name": name,
        "origin": "built-in",
        "summary": info.summary,
        "location": info.location,
        "recommended_options": dict(info.recommended),
        **({} if info.fetched is None else _describe_fetched(info.fetched)),
    }


def _describe_fetched(fetched: FetchedEncoder) -> dict[str, Any]:
    missing = f"not on this machine: run 'robench fetch {fetched.name}'"
    return {
        "recommended_for_tasks": {
            task: ", ".join(f"{name} {value}" for name, value in options.items())
            for task, options in fetched.recommended_for.items()
        },
        "files": missing if fetched.missing() else f"{len(fetched.files)}, checked when used",
        "hub": f"{fetched.hub} at {fetched.revision}",
        "package": fetched.package,
        "licence": fetched.licence,
        "masked_language_model": "yes" if fetched.masked_head else "no: the files hold no head",
        "training_data": fetched.training_data,
    }


def _describe_protocol(name: str) -> dict[str, Any]:
    from robench.protocol import get_protocol

    choices = asdict(get_protocol(name))
    return {
        "kind": "protocol",
        "name": choices.pop("name"),
        "origin": "built-in",
        "summary": choices.pop("summary"),
        "choices": choices,
    }


def describe_options(
    model: type[Options], task_defaults: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Describe each option of an options class.

    Args:
        model: the options class.
        task_defaults: task -> option -> the value that the papers use on this task.

    Returns:
        For each option its name, default, values by task, unit, accepted values and description.
    """
    rows = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = None
        if not field.is_required():
            default = _jsonable(field.get_default(call_default_factory=True))
        by_task = {task: values[name] for task, values in task_defaults.items() if name in values}
        rows.append(
            {
                "name": name,
                "default": default,
                "task_defaults": by_task,
                "unit": str(extra.get("unit", "")),
                "takes": _accepted_values(field),
                "description": field.description or "",
            }
        )
    return rows


def _accepted_values(field: FieldInfo) -> str:
    """Describe type and bounds of an option: ``"float > 0, <= 1"``."""
    bounds = []
    for constraint in field.metadata:
        for attribute, sign in _BOUND_SIGNS.items():
            if hasattr(constraint, attribute):
                bounds.append(f"{sign} {getattr(constraint, attribute)}")
    return " ".join([_type_name(field.annotation), ", ".join(bounds)]).strip()


def _type_name(annotation: Any) -> str:
    if annotation is NoneType:
        return "none"
    if get_origin(annotation) is Literal:
        return " | ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(_type_name(part) for part in get_args(annotation))
    return str(getattr(annotation, "__name__", annotation))


def _jsonable(value: Any) -> Any:
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value
