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
from robench.inspection.catalogue import REGISTRIES
from robench.plugins.registry import canonical
from robench.tasks.registry import TASKS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from robench.plugins.options import Options

_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def describe(kind: str, name: str) -> dict[str, Any]:
    """Everything known about one attack, defense, task, encoder or protocol, ready for JSON.

    Raises:
        UsageError: no such name, or a plugin that cannot be imported.
    """
    if kind == "encoder":
        return _encoder(name)
    if kind == "protocol":
        from robench.protocol import get_protocol

        protocol = asdict(get_protocol(name))
        return {
            "kind": kind,
            "name": protocol.pop("name"),
            "origin": "built-in",
            "summary": protocol.pop("summary"),
            "choices": protocol,
        }
    registry, name = REGISTRIES[kind], canonical(name)
    plugin = registry.get(name)
    facts: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "origin": registry.origin(name),
        "summary": _documentation(plugin),
    }
    facts |= {"paper": plugin.paper, "deviations": list(getattr(plugin, "deviations", ()))}
    return facts | (_task(plugin) if kind == "task" else _method(plugin))


def _method(plugin: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if hasattr(plugin, "access"):
        facts["sees"] = plugin.access
        if plugin.outside:
            facts["surface"] = (
                "outside: it writes texts of its own, which stand in tables of their own"
            )
        else:
            binds = "binds it" if plugin.language_model else "does not bind it"
            facts["language_model_constraint"] = (
                f"{binds} where a protocol's surface is as published"
            )
    return facts | {
        "options": describe_options(
            plugin.Options, _task_settings(plugin) if hasattr(plugin, "task_defaults") else {}
        )
    }


def _task_settings(defense: Any) -> dict[str, dict[str, Any]]:
    """What a defense is trained with on each built-in task, and on those that it has settings for, where that is not its default."""
    usual = {
        entry.name: dict(TASKS.get(entry.name).training)
        for entry in TASKS.entries()
        if entry.origin == "built-in"
    }
    return {
        task: usual.get(task, {}) | dict(defense.task_defaults.get(task, {}))
        for task in [*usual, *defense.task_defaults]
    }


def _task(plugin: Any) -> dict[str, Any]:
    return {
        "labels": list(plugin.labels),
        "attackable_field": plugin.attackable,
        "window": f"{plugin.max_tokens} tokens, special tokens included",
        "substitutions": plugin.substitutions,
        "training_pools": list(plugin.train_pools),
        "licence": plugin.licence,
    }


def _encoder(name: str) -> dict[str, Any]:
    from robench.models.encoders import ENCODERS

    if name not in ENCODERS:
        raise UsageError(
            f"No encoder is called '{name}' here.{did_you_mean(name, ENCODERS)} See 'robench list encoders'; --encoder also takes any hub id or local folder."
        )
    info = ENCODERS[name]
    return {
        "kind": "encoder",
        "name": name,
        "origin": "built-in",
        "summary": info.summary,
        "location": info.location,
        "recommended_options": dict(info.recommended),
    }


def _documentation(plugin: type) -> str:
    return (inspect.getdoc(plugin) or "").strip()


def describe_options(
    model: type[Options], task_defaults: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Each option with its default, the papers' settings per task, its unit, what it takes and what it is."""
    rows = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        rows.append(
            {
                "name": name,
                "default": _jsonable(field.get_default(call_default_factory=True))
                if not field.is_required()
                else None,
                "task_defaults": {
                    task: values[name] for task, values in task_defaults.items() if name in values
                },
                "unit": str(extra.get("unit", "")),
                "takes": _takes(field),
                "description": field.description or "",
            }
        )
    return rows


def _takes(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(constraint, key)}"
        for constraint in field.metadata
        for key, sign in _BOUNDS.items()
        if hasattr(constraint, key)
    ]
    return " ".join([_type(field.annotation), ", ".join(bounds)]).strip()


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(
            "none" if part is NoneType else _type(part) for part in get_args(annotation)
        )
    return str(getattr(annotation, "__name__", annotation))


def _jsonable(value: Any) -> Any:
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value
