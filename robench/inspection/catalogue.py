"""What there is to choose from, with one line on each; imports no plugin and no torch."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.plugins.registry import FAMILY, Entry, Registry
from robench.search.registry import ATTACKS
from robench.tasks.registry import TASKS
from robench.training.registry import DEFENSES

REGISTRIES: dict[str, Registry[Any]] = {"attack": ATTACKS, "defense": DEFENSES, "task": TASKS}
KINDS = ("attack", "defense", "task", "encoder", "protocol")


@dataclass(frozen=True, slots=True)
class Row:
    """One name that can be chosen; ``problem`` says why it cannot, after all."""

    kind: str
    name: str
    origin: str
    summary: str
    problem: str | None = None


def find_kind(word: str) -> str:
    """``"attacks"`` or ``"attack"`` -> ``"attack"``.

    Raises:
        UsageError: no such kind; the sentence holds the nearest one.
    """
    singular = word.lower().removesuffix("s")
    if singular in KINDS:
        return singular
    raise UsageError(
        f"There is no kind '{word}'.{did_you_mean(singular, KINDS, '{}s')} Kinds: {', '.join(f'{kind}s' for kind in KINDS)}."
    )


def rows(kind: str, *, check: bool = False) -> list[Row]:
    """All names of one kind, plugins sorted; a family is one row, ``PREFIX:NAME``, after them.

    Args:
        check: examine guests anew instead of trusting what is remembered of them.
    """
    if kind == "encoder":
        from robench.models.encoders import ENCODERS

        return [Row(kind, info.name, "built-in", info.summary) for info in ENCODERS.values()]
    if kind == "protocol":
        from robench.protocol import PROTOCOLS

        return [
            Row(kind, protocol.name, "built-in", protocol.summary)
            for _, protocol in sorted(PROTOCOLS.items())
        ]
    from robench.inspection.health import guest_health

    verdicts = guest_health(force=check)
    registry = REGISTRIES[kind]
    listed = (
        [(registry, "")]
        if registry.families is None
        else [(registry, ""), (registry.families, f"{FAMILY}NAME")]
    )
    result = []
    for source, rest in listed:
        for entry in source.entries():
            verdict = verdicts.get((source.kind, entry.name))
            summary = verdict.summary if verdict is not None else builtin_summary(entry)
            problem = entry.problem or (verdict.problem if verdict is not None else None)
            result.append(Row(kind, entry.name + rest, entry.origin, summary, problem))
    return result


def builtin_summary(entry: Entry) -> str:
    """First line of a built-in's module docstring, read without importing it; empty where there is none, and for all others."""
    package, _, stem = entry.module.rpartition(".")
    spec = find_spec(package) if entry.origin == "built-in" else None
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        file = Path(folder) / f"{stem}.py"
        if file.is_file():
            lines = (
                (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").strip().splitlines()
            )
            return lines[0] if lines else ""
    return ""
