"""``robench card``: write the model card of a victim."""

from __future__ import annotations

from pathlib import Path

import click

from robench.commands.saying import say_data, say_line, tell
from robench.commands.shell import emit, global_flags, session_of


@click.command("card", short_help="Write a victim's model card, README.md.")
@click.argument("victim", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--records",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of records. Default: that of the run which trained the victim.",
)
@click.option("--print", "only_print", is_flag=True, help="Print the card and write nothing.")
@global_flags
@click.pass_context
def command(ctx: click.Context, victim: Path, records: Path | None, only_print: bool) -> None:
    """Write README.md into a victim's folder, with its robust accuracies from records.

    \b
    robench card runs/victims/rift-imdb-bert-base-uncased-s0-1a2b3c4d
    """
    from robench.sharing.loaded import card_of

    # A wrong folder is refused before the statistics are imported.
    card = card_of(victim)
    from robench.sharing.model_card import (
        model_card,
        read_records_for,
        records_beside,
        write_model_card,
    )

    folder = records or records_beside(victim)
    found = read_records_for(card, folder)
    for problem in found.damaged.values():
        tell(f"Warning: {problem}")
    if only_print:
        text = model_card(card, found.records.values())
        emit({"card": text}) if session_of(ctx).json else say_data(text)
        return
    path = write_model_card(victim, card, found.records.values())
    if session_of(ctx).json:
        emit({"path": path, "records": sorted(found.records)})
        return
    where = "no folder of records" if folder is None else str(folder)
    say_line(f"wrote {path} (records of this victim: {len(found.records)}, from {where})")
