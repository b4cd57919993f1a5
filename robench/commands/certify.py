"""``robench certify``: what is proved about the victims of a run, beside what attacks found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from robench._base.errors import RobenchError
from robench.commands.choices import (
    given_options,
    optional_defense_option,
    seed_option,
    space_options,
    task_option,
    training_options,
)
from robench.commands.config import ConfiguredCommand
from robench.commands.evaluate import tasks_of
from robench.commands.option_types import apply
from robench.commands.running import make_request, prepare, run_with_progress
from robench.commands.saying import say, say_line, tell
from robench.commands.shell import Session, global_flags, session_of, terminal_width

if TYPE_CHECKING:
    from robench.certification.settings import CertificationSettings
    from robench.evaluation.request import EvaluationRequest
    from robench.records.certificate import Certificate
    from robench.records.sandwich import Sandwich

OWN = ("methods", "spaces", "texts", "parts", "draws", "guess", "alpha", "neighbours")
"""Parameters of this command that are no part of an evaluation request."""

_at_least_1 = click.IntRange(min=1)
_certification_options = apply(
    [
        click.option(
            "--method",
            "methods",
            multiple=True,
            type=click.Choice(["bounds", "smoothing"]),
            default=("bounds",),
            show_default=True,
            help="bounds: enumeration of small spaces and interval bounds of larger ones. "
            "smoothing: randomised smoothing over the substitution set (SAFER). Repeatable.",
        ),
        click.option(
            "--space",
            "spaces",
            multiple=True,
            type=click.Choice(["constrained", "all"]),
            default=("constrained",),
            show_default=True,
            help="constrained: texts that the language model allows. all: all substitutes. "
            "Repeatable.",
        ),
        click.option(
            "--texts",
            type=_at_least_1,
            metavar="N",
            default=10_000,
            show_default=True,
            help="bounds: most texts that are enumerated for one example.",
        ),
        click.option(
            "--parts",
            type=click.IntRange(min=0),
            metavar="N",
            default=32,
            show_default=True,
            help="bounds: most parts of a space that get interval bounds; 0 for none.",
        ),
        click.option(
            "--draws",
            type=_at_least_1,
            metavar="N",
            default=1000,
            show_default=True,
            help="smoothing: variants of a text for its certificate.",
        ),
        click.option(
            "--guess",
            type=_at_least_1,
            metavar="N",
            default=100,
            show_default=True,
            help="smoothing: further variants that only choose the label.",
        ),
        click.option(
            "--alpha",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            metavar="P",
            default=0.01,
            show_default=True,
            help="smoothing: probability that one example is certified wrongly.",
        ),
        click.option(
            "--neighbours",
            type=click.IntRange(min=2),
            metavar="N",
            default=100,
            show_default=True,
            help="smoothing of a victim that has none of its own: most words of a set.",
        ),
    ]
)


@click.command(
    "certify",
    cls=ConfiguredCommand,
    short_help="Prove what no attack can change, and compare with the attacks.",
)
@optional_defense_option
@given_options
@task_option
@seed_option("training and random draws")
@_certification_options
@training_options
@space_options
@global_flags
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Certify victims: on which examples can no text of the surface change the right answer?

    The victims, examples and texts are those of 'robench evaluate' with the same options and the
    same --out. The table sets the certified accuracy beside the accuracy under the attacks of that
    folder. An example that is certified by bounds and fooled is an alarm, and the exit code is 1.

    A certificate by smoothing is about the mean over all random variants, and it can be wrong with
    the probability --alpha. The victim answers from a fixed number of variants. So a contradiction
    there is reported, and the run does not fail.

    \b
    robench certify --defense rift
    robench certify --defense safer --method smoothing --space all
    """
    from robench.certification.settings import CertificationSettings

    if ctx.get_parameter_source("tasks") == ParameterSource.DEFAULT:
        values["tasks"] = tasks_of(values["victims"]) or values["tasks"]
    settings = CertificationSettings(**{name: values.pop(name) for name in OWN})
    request, session = make_request(values), session_of(ctx)
    prepare(session, request)
    run(request, settings, session)


def run(request: EvaluationRequest, settings: CertificationSettings, session: Session) -> None:
    """Certify, print the tables, and fail on a contradiction.

    Raises:
        RobenchError: a certificate and an attack contradict each other.
    """
    from robench.certification.run import certify

    shown: list[Sandwich] = []

    def print_results(certificates: Sequence[Certificate]) -> None:
        from robench.records.certified_table import alarm_sentences, terminal

        shown.extend(_sandwiches(certificates, request.out))
        if shown:
            say(f"\n{terminal(shown, terminal_width())}\n")
            say_line(f"Certificates: {_folder(request.out)}")
        for sentence in (each for one in shown for each in alarm_sentences(one)):
            tell(sentence)

    def as_data(certificates: Sequence[Certificate]) -> dict[str, Any]:
        shown.extend(_sandwiches(certificates, request.out))
        return {
            "certificates": [_data(each, request.out) for each in shown],
            "folder": _folder(request.out),
        }

    run_with_progress(session, partial(certify, request, settings), print_results, as_data)
    _fail_on_alarms(shown)


def _folder(out: Path) -> Path:
    from robench.records.run_folder import RunFolder

    return RunFolder(out).certificates


def _sandwiches(certificates: Sequence[Certificate], out: Path) -> list[Sandwich]:
    from robench.records.record_files import find_records
    from robench.records.run_folder import RunFolder
    from robench.records.sandwich import sandwiches

    found = find_records(RunFolder(out).records)
    if damage := found.damage(out):
        # Also with --quiet: the attacks of these records are missing beside the certificates.
        tell(f"Warning: {damage}")
    return sandwiches(certificates, found.records.values())


def _data(each: Sandwich, out: Path) -> dict[str, Any]:
    """Return the figures of one certificate; rates lie in [0, 1]."""
    certificate = each.certificate
    return {
        "task": certificate.task.name,
        "victim": certificate.row,
        "smoothed": certificate.smoothed,
        "seed": certificate.seed,
        "method": certificate.method,
        "space": "constrained" if certificate.space.constrained else "all",
        "options": certificate.options,
        "examples": each.n,
        "limit": certificate.limit,
        "certified_accuracy": each.certified / each.n,
        "exact_robustness": None if each.exact is None else [part / each.n for part in each.exact],
        "accuracy_under_attack": None if each.attacked is None else each.attacked / each.n,
        "clean_accuracy": each.clean / each.n,
        "abstained": each.abstained,
        "error": certificate.error,
        "reasons": certificate.reasons,
        "attacks": each.attacks,
        "alarms": each.alarms,
        "certificate": _folder(out) / certificate.file_name,
    }


def _fail_on_alarms(shown: Sequence[Sandwich]) -> None:
    """Raise where a proof and an attack contradict each other.

    A certificate by smoothing is about the mean over all variants, and a victim answers from a few
    draws. So both can be right there, and the run does not fail.
    """
    proofs = [each for each in shown if each.certificate.method == "bounds" and each.alarms]
    if proofs:
        number = sum(len(each.alarms) for each in proofs)
        first = proofs[0].alarms[0]
        raise RobenchError(
            f"Contradictions between certificates and attacks: {number}. The first is example "
            f"number {first.number + 1} under {first.attack}: {first.sentence}. One of the two is "
            "wrong, so report it, and trust neither number until it is explained."
        )
