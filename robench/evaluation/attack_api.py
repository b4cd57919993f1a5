"""``robench.attack``: attack texts of one's own in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from robench._base.errors import UsageError
from robench.evaluation import defaults
from robench.evaluation.arguments import labels_of_function, name_of_function
from robench.evaluation.one_text import attack_texts, check_texts, text_attack
from robench.evaluation.open_victim import (
    PAIR,
    SINGLE,
    OpenedVictim,
    fields_of,
    local_location,
    open_victim,
    opened_from,
)
from robench.plugins.names import split_on
from robench.protocol import Unknown
from robench.records.trial_plain import plain_view
from robench.records.trial_texts import TrialText

if TYPE_CHECKING:
    from robench.models.given.answers import Predict
    from robench.sharing.loaded import LoadedVictim

Text = str | tuple[str, str] | Mapping[str, str]
"""One text: a string, a pair, or all fields by name."""


@dataclass(frozen=True, repr=False)
class AttackedText(TrialText):
    """One attacked text: what the attack changed, and what the victim says before and after.

    Printed, it shows every change as ``[[old->new]]``.
    """

    def __str__(self) -> str:
        """Return the verdict and the text with its changes."""
        return plain_view([self], cells=False).rstrip("\n")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        return f"<pre>{escape(str(self))}</pre>"


def attack(
    text: Text | Sequence[Text],
    victim: str | Path | LoadedVictim | Predict,
    attack: str = "pwws",
    *,
    labels: Sequence[str] | None = None,
    label: str | None = None,
    options: Mapping[str, Any] | None = None,
    substitutions: str | None = None,
    lm: str = defaults.LM,
    protocol: str | None = None,
    unknown: Unknown = "allowed",
    budget: int | None = None,
    seed: int = 0,
    device: str = "auto",
    data: str | Path | None = None,
    trust_remote_code: bool = False,
    example_seconds: float | None = None,
) -> AttackedText | list[AttackedText]:
    """Attack one text, or each text of a list.

    Args:
        text: a string; a pair as a tuple; all fields as a dict; or a list of these.
        victim: folder of a saved victim, ``hf:USER/NAME`` for one on the Hugging Face hub, folder
            or hub id of a model with a classification head, what ``robench.load_victim`` returned,
            or a function that takes a list of texts, or of pairs of texts, and returns
            probabilities ``(texts, classes)``.
        attack: name of the attack, and perhaps a substitution set: ``"pwws@wordnet"``.
        labels: names of a function's classes, in the order of its probabilities.
        label: true label of every text. None takes the victim's own prediction.
        options: options of the attack, such as ``{"population": 20}``.
        substitutions: name or path of the substitution set. None takes that of the victim's task.
        lm: language model of the constraint, as ``--lm`` takes it.
        protocol: name of a protocol. None takes the victim's own.
        unknown: ``"forbidden"`` leaves out substitutes that the victim reads as its unknown token.
        budget: queries of a text, or None for no limit.
        seed: seed of the searches.
        device: ``"auto"`` or a torch device string; of a loaded victim, its own is used.
        data: folder with the published substitution set. None uses ``ROBENCH_DATA``.
        trust_remote_code: whether Python files in the folders of models may run.
        example_seconds: own seconds after which the search of a text is ended; its verdict is then
            an error. 0 sets no limit. None sets none for built-in attacks, and an hour for others.

    Returns:
        One result for one text, and a list of results for a list.

    Raises:
        UsageError: an argument is wrong.
    """
    from robench.search.registry import ATTACKS

    ATTACKS.check(split_on(attack)[0])
    if unknown not in get_args(Unknown):
        raise UsageError(f"unknown='{unknown}': choose one of {', '.join(get_args(Unknown))}.")
    texts: list[Any] = [text] if isinstance(text, str | tuple | Mapping) else list(text)
    opened = _open(victim, labels, texts, device, protocol, trust_remote_code)
    named = [_fields_of(each, opened.fields) for each in texts]
    check_texts(named)
    names = opened.victim.labels
    if label is not None and label not in names:
        raise UsageError(f"There is no label '{label}'. The victim has {', '.join(names)}.")
    folder = data or os.environ.get("ROBENCH_DATA")
    how = text_attack(
        attack,
        opened.victim,
        opened.protocol,
        options=options or {},
        own=opened.substitutions,
        held_out=opened.held_out,
        substitutions=substitutions,
        lm=lm,
        data=None if folder is None else Path(folder),
        budget=budget,
        seed=seed,
        unknown=unknown,
        foreign_code=trust_remote_code,
        example_seconds=example_seconds,
    )
    true = None if label is None else names.index(label)
    found = attack_texts(opened.victim, named, how, labels=[true] * len(named))
    shown = [
        AttackedText(**{each.name: getattr(trial, each.name) for each in fields(trial)})
        for trial in found
    ]
    return shown[0] if isinstance(text, str | tuple | Mapping) else shown


def _open(
    victim: Any,
    labels: Sequence[str] | None,
    texts: Sequence[Any],
    device: str,
    protocol: str | None,
    foreign_code: bool,
) -> OpenedVictim:
    """Return the victim with its fields, protocol and substitution set.

    Raises:
        UsageError: it is no victim, or ``labels`` do not belong to it.
    """
    from robench._base.environment import choose_device
    from robench.sharing.loaded import LoadedVictim

    # A given model or a function does not say whether it reads pairs, so the texts decide.
    guessed = PAIR if texts and all(map(_is_pair, texts)) else SINGLE
    if callable(victim):
        return _open_function(victim, labels, guessed, protocol)
    if labels is not None:
        raise UsageError("'labels' are those of a function, and 'victim' is none. Leave them out.")
    if isinstance(victim, LoadedVictim):
        return opened_from(victim.victim, victim.fields, protocol)
    if not isinstance(victim, str | Path):
        raise UsageError(
            f"'victim' is {type(victim).__name__}. Give a folder, a hub id, what "
            "robench.load_victim returned, or a function with 'labels'."
        )
    location = local_location(str(victim))
    wanted = fields_of(location) or guessed
    return open_victim(
        location,
        choose_device(device),
        pair=len(wanted) == 2,
        protocol=protocol,
        foreign_code=foreign_code,
    )


def _open_function(
    predict: Predict, labels: Sequence[str] | None, fields: Sequence[str], protocol: str | None
) -> OpenedVictim:
    """Return a function as a victim; of a pair, the second text is attacked."""
    from robench.models.given.function import FunctionVictim

    names = labels_of_function(labels)
    function = FunctionVictim(predict, names, fields, fields[-1], name_of_function(predict))
    return opened_from(function, tuple(fields), protocol)


def _is_pair(text: Any) -> bool:
    return isinstance(text, tuple | Mapping) and len(text) == 2


def _fields_of(text: Any, names: Sequence[str]) -> dict[str, str]:
    """Return one text as its fields by name."""
    if isinstance(text, Mapping):
        given = dict(text)
    else:
        parts = text if isinstance(text, tuple) else (text,)
        if len(parts) != len(names):
            raise UsageError(
                f"A text of this victim has {len(names)} fields ({', '.join(names)}), but "
                f"{len(parts)} came. Give a string for one field, and a tuple for two."
            )
        given = dict(zip(names, parts, strict=True))
    if set(given) != set(names) or not all(isinstance(value, str) for value in given.values()):
        raise UsageError(
            f"A text of this victim has the fields {', '.join(names)}, each a string. These came: "
            f"{', '.join(map(str, given))}."
        )
    return {name: given[name] for name in names}
