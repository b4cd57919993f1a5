"""``robench attack``: attack one text, or the lines of standard input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from robench._base.errors import UsageError
from robench.commands.choices import trust_option, unknown_option
from robench.commands.option_pairs import parse_options
from robench.commands.option_types import EXISTING_FOLDER
from robench.commands.saying import say_json, tell
from robench.commands.shell import Session, emit, global_flags, session_of
from robench.evaluation import defaults

if TYPE_CHECKING:
    from robench.commands.text_input import TextLine
    from robench.evaluation.one_text import TextAttack
    from robench.evaluation.open_victim import OpenedVictim
    from robench.records.trial_texts import TrialText


@click.command("attack", short_help="Attack one text, or lines from standard input.")
@click.argument("text", required=False)
@click.option("--pair", metavar="TEXT", help="The second text of a pair.")
@click.option(
    "--victim",
    required=True,
    metavar="FOLDER_OR_HUB_ID",
    help="A victim that robench saved (in runs/victims, or hf:USER/NAME on the hub), or a model "
    "of transformers with a classification head.",
)
@click.option(
    "--attack", default="pwws", show_default=True, metavar="NAME[@SET]", help="The attack."
)
@click.option(
    "--label",
    metavar="NAME",
    help="The true label of every text. Default: the victim's own prediction.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="attack.NAME=VALUE",
    help="An option of the attack. Repeatable.",
)
@click.option(
    "--substitutions",
    metavar="NAME_OR_FILE",
    help="Substitution set. Default: that of the victim's task, or counterfitted.",
)
@click.option(
    "--lm",
    default=defaults.LM,
    show_default=True,
    metavar="SPEC",
    help="Language model of the constraint: masked:ID, causal:ID, file:PATH or none.",
)
@trust_option
@unknown_option
@click.option("--protocol", metavar="NAME", help="Default: the victim's own, or subword.")
@click.option("--budget", type=click.IntRange(min=1), metavar="N", help="Query budget of a text.")
@click.option(
    "--example-seconds",
    type=float,
    metavar="SECONDS",
    help="Most seconds of a text's own search; beyond them its verdict is an error. 0: no limit. "
    f"Default: no limit for built-in attacks, {defaults.EXAMPLE_SECONDS:g} for others.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
@click.option("--device", default="auto", show_default=True, metavar="NAME")
@click.option(
    "--data",
    type=EXISTING_FOLDER,
    envvar="ROBENCH_DATA",
    show_envvar=True,
    help="Folder with the published substitution set.",
)
@click.option("--jsonl", is_flag=True, help="Print one JSON object a line, for each text one.")
@global_flags
@click.pass_context
def command(
    ctx: click.Context, /, text: str | None, pair: str | None, jsonl: bool, **values: Any
) -> None:
    """Attack TEXT and show what the attack changed.

    Without TEXT, or with -, the texts come from standard input, one a line. A tab separates the
    two texts of a pair. All lines are read first, and the results come in their order. Lines
    without a word are skipped.

    The exit code is 0 whether the victim was fooled or held.

    \b
    robench attack "A great film." --victim runs/victims/FOLDER --attack genetic
    robench attack "A man sleeps." --pair "A man is awake." --victim FOLDER
    cat texts.txt | robench attack --victim FOLDER --jsonl
    """
    from robench.commands.text_input import read_texts

    session = session_of(ctx)
    if session.json and jsonl:
        raise UsageError("--json prints one document and --jsonl one object a line. Choose one.")
    options = _check(values)
    lines = read_texts(text, pair)
    opened, texts = _open(session, values, lines)
    how = _how(values, opened, options)
    _remark(session, [*opened.remarks, *_remarks(values, opened, how)])
    _run(session, opened, texts, lines, how, values["label"], jsonl=jsonl)


def _check(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse unknown names before anything heavy is imported; return the attack's options."""
    from robench.evaluation.resolve import check_set_of
    from robench.plugins.names import split_on
    from robench.plugins.option_routing import check_owners, route_options
    from robench.protocol import get_protocol
    from robench.search.registry import ATTACKS

    name = values["attack"]
    plugin = split_on(name)[0]
    ATTACKS.check(plugin)
    check_set_of(name)
    if values["protocol"] is not None:
        get_protocol(values["protocol"])
    options = parse_options(values["options"])
    check_owners(options, [], [name])
    _, of_attack = route_options(options, {}, {name: ATTACKS.get(plugin).Options})
    return dict(of_attack[name])


def _open(
    session: Session, values: dict[str, Any], lines: list[TextLine]
) -> tuple[OpenedVictim, list[dict[str, str]]]:
    """Load the victim, and give the texts the names of its fields."""
    from robench._base.environment import choose_device
    from robench._base.hub import no_pointless_retries
    from robench._base.quiet import quiet_environment
    from robench.commands.text_input import fields_of_texts
    from robench.evaluation.one_text import check_texts
    from robench.evaluation.open_victim import (
        PAIR,
        SINGLE,
        fields_of,
        local_location,
        open_victim,
    )
    from robench.sharing.hub import PREFIX

    quiet_environment()
    if values["victim"].startswith(PREFIX):
        _remark(session, [f"Getting the victim {values['victim']} from the hub or its cache."])
    location = local_location(values["victim"])
    known = fields_of(location)
    # A given model does not say whether it reads pairs, so the texts decide.
    fields = known or (PAIR if all(len(line.parts) == 2 for line in lines) else SINGLE)
    texts = fields_of_texts(lines, fields)
    check_texts(texts)
    device = choose_device(values["device"])
    with no_pointless_retries():
        opened = open_victim(
            location,
            device,
            pair=len(fields) == 2,
            protocol=values["protocol"],
            foreign_code=values["trust_remote_code"],
        )
    return opened, texts


def _how(values: dict[str, Any], opened: OpenedVictim, options: dict[str, Any]) -> TextAttack:
    from robench.evaluation.one_text import text_attack

    return text_attack(
        values["attack"],
        opened.victim,
        opened.protocol,
        options=options,
        own=opened.substitutions,
        held_out=opened.held_out,
        substitutions=values["substitutions"],
        lm=values["lm"],
        data=values["data"],
        budget=values["budget"],
        seed=values["seed"],
        unknown=values["unknown"],
        foreign_code=values["trust_remote_code"],
        example_seconds=values["example_seconds"],
    )


def _remarks(values: dict[str, Any], opened: OpenedVictim, how: TextAttack) -> list[str]:
    """Return what was chosen for the user, as sentences."""
    from robench.evaluation.time_limit import remark_of_limit

    remarks = []
    if values["label"] is None:
        remarks.append("No --label: the victim's own prediction is taken as the true label.")
    if how.attack.attack.outside:
        remarks.append(f"Attack '{how.attack.label}' writes texts outside the substitutions.")
    elif how.attack.constrained:
        remarks.append(f"Substitutions {how.substitutions.name}, language model {values['lm']}.")
    else:
        remarks.append(f"Substitutions {how.substitutions.name}, no language model.")
    if how.protocol.unknown == "forbidden" and not how.attack.attack.outside:
        reason = opened.victim.encoder_fields.no_unknown_words
        remarks.append(
            f"Nothing is left out by 'forbidden': {reason}."
            if reason
            else "Substitutes that the victim reads as its unknown token are left out."
        )
    limited = remark_of_limit(values["example_seconds"], how.attack)
    remarks += [] if limited is None else [limited]
    return remarks


def _remark(session: Session, sentences: Sequence[str]) -> None:
    if not session.quiet:
        for sentence in sentences:
            tell(sentence)


def _run(
    session: Session,
    opened: OpenedVictim,
    texts: list[dict[str, str]],
    lines: Sequence[TextLine],
    how: TextAttack,
    label: str | None,
    *,
    jsonl: bool,
) -> None:
    from robench.commands.trial_view import show_trials
    from robench.evaluation.one_text import attack_texts

    names = opened.victim.labels
    if label is not None and label not in names:
        raise UsageError(f"--label {label}: the victim's labels are {', '.join(names)}.")
    true = None if label is None else names.index(label)
    results = attack_texts(opened.victim, texts, how, labels=[true] * len(texts))
    data = [_data(result, line) for result, line in zip(results, lines, strict=True)]
    if session.json:
        emit(data)
    elif jsonl:
        for row in data:
            say_json(json.dumps(row, ensure_ascii=False))
    else:
        if not session.quiet:
            tell()
        show_trials(results, cells=False)


def _data(result: TrialText, line: TextLine) -> dict[str, Any]:
    from robench.records.trial_export import row_of

    row = {name: value for name, value in row_of(result).items() if name != "task"}
    return {"line": line.number, **row} if line.number is not None else row
