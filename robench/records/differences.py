"""Say in what two records differ, and which differences forbid a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robench.records.record import Record


@dataclass(frozen=True)
class _Trait:
    """Something that two records should share.

    Attributes:
        what: its name, as the subject of a sentence.
        value: the value of a record.
        shown: the value as a person reads it, or None if it is a hash.
        concerns: whether the trait concerns the two records at all.
    """

    what: str
    value: Callable[[Record], object]
    shown: Callable[[Record], str] | None = None
    concerns: Callable[[Record, Record], bool] = lambda first, second: True


def _same_row(first: Record, second: Record) -> bool:
    return first.row == second.row


def _both_trained(first: Record, second: Record) -> bool:
    return first.encoder is not None and second.encoder is not None


def _same_protocol(first: Record, second: Record) -> bool:
    return first.protocol == second.protocol


def _same_examples(first: Record, second: Record) -> bool:
    return first.ids_digest == second.ids_digest and _same_protocol(first, second)


def _both_rules_known(first: Record, second: Record) -> bool:
    return first.surface.rules is not None and second.surface.rules is not None


_FORBIDDEN = (
    _Trait("tasks", lambda r: r.task.name, lambda r: r.task.name),
    _Trait("test sets", lambda r: r.task.other_test, lambda r: r.task.other_test or r.task.name),
    _Trait(
        "language models of the constraint",
        lambda r: r.surface.language_model,
        lambda r: _short(r.surface.language_model),
        _same_protocol,
    ),
    # The key also covers which examples there are, so it says nothing where these differ.
    _Trait("surfaces", lambda r: r.surface.key, None, _same_examples),
    _Trait(
        "rules of the surfaces, such as the substitution set,",
        lambda r: r.surface.rules,
        None,
        _both_rules_known,
    ),
)

_ALLOWED = (
    _Trait("lists of test examples", lambda r: r.task.test_name, lambda r: r.task.test_name),
    _Trait("numbers of judged examples", lambda r: r.counts.n, lambda r: str(r.counts.n)),
    _Trait("protocols", lambda r: r.protocol, lambda r: r.protocol.name),
    _Trait(
        "encoders",
        lambda r: r.encoder,
        lambda r: "" if r.encoder is None else r.encoder.name,
        _both_trained,
    ),
    _Trait(
        "pools of training examples",
        lambda r: r.task.train_pool,
        lambda r: r.task.train_pool,
        _both_trained,
    ),
    _Trait(
        "query budgets",
        lambda r: r.search.budget,
        lambda r: "none" if r.search.budget is None else str(r.search.budget),
    ),
    _Trait("versions of robench", lambda r: r.software.robench, lambda r: r.software.robench),
    _Trait("precisions of the search", lambda r: r.search.precision, lambda r: r.search.precision),
    _Trait(
        "precisions of the training",
        lambda r: r.victim.precision,
        lambda r: str(r.victim.precision),
        _both_trained,
    ),
    _Trait("options of the attack", lambda r: (r.attack.options, r.surface.constrained)),
    _Trait("versions of the attack's code", lambda r: r.attack.code_sha256),
    _Trait("versions of the search's code", lambda r: r.search.code_sha256),
    _Trait(
        "versions of the training's code",
        lambda r: r.victim.training_code_sha256,
        None,
        _both_trained,
    ),
    _Trait(
        "versions of the defense's code",
        lambda r: r.defense and r.defense.code_sha256,
        None,
        _same_row,
    ),
)


def forbidden_difference(first: Record, second: Record) -> str | None:
    """Return why two records must not be compared, as a sentence, or None if they may be.

    Another task, another test set, another surface or another language model forbids it: the
    numbers would then be about other texts.
    """
    found = _found(_FORBIDDEN, first, second)
    return found[0] if found else None


def allowed_differences(first: Record, second: Record) -> list[str]:
    """Return differences that a person may compare on purpose, one sentence each.

    The difference of the two rows may come from these differences as well.
    """
    found = _found(_ALLOWED, first, second)
    given = [r.row for r in (first, second) if r.encoder is None]
    if len(given) == 1:
        found.append(f"robench did not train {given[0]}, so its training examples are unknown.")
    return found


def _found(traits: tuple[_Trait, ...], first: Record, second: Record) -> list[str]:
    sentences = []
    for trait in traits:
        if not trait.concerns(first, second) or trait.value(first) == trait.value(second):
            continue
        values = [] if trait.shown is None else [trait.shown(first), trait.shown(second)]
        if len(set(values)) == 2:
            sentences.append(f"The {trait.what} differ: {values[0]} and {values[1]}.")
        else:
            sentences.append(f"The {trait.what} differ.")
    return sentences


def _short(identity: str) -> str:
    """Return a language model's identity with its hash cut to 12 digits."""
    return ":".join(f"{p[:12]}…" if len(p) == 64 else p for p in identity.split(":"))
