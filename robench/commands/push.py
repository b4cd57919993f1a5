"""``robench push``: publish a victim on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from robench.commands.saying import say_line
from robench.commands.shell import emit, global_flags, session_of

if TYPE_CHECKING:
    from robench.sharing.push import Parcel


@click.command("push", short_help="Publish a victim on the Hugging Face hub.")
@click.argument("victim", type=click.Path(file_okay=False, path_type=Path))
@click.argument("repo")
@click.option("--public", is_flag=True, help="Make a new repository public. Default: private.")
@click.option(
    "--records",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of records for the model card. Default: that of the victim's run.",
)
@click.option(
    "--license",
    "licence",
    default="unknown",
    help="The hub's name of the licence, such as mit, for the model card. Default: unknown.",
)
@click.option("--dry-run", is_flag=True, help="List what would be sent, and send nothing.")
@global_flags
@click.pass_context
def command(
    ctx: click.Context,
    /,
    victim: Path,
    repo: str,
    public: bool,
    records: Path | None,
    licence: str,
    dry_run: bool,
) -> None:
    """Send a victim's files and its model card to the repository REPO (USER/NAME).

    The files are those on the victim's card, and their hashes are checked before. The repository
    is made where it is missing.

    \b
    robench push runs/victims/rift-imdb-bert-base-uncased-s0-1a2b3c4d me/rift-imdb --dry-run
    """
    from robench.sharing.push import pack, push

    parcel = pack(victim, repo, records, licence)
    address = None if dry_run else push(parcel, public)
    if session_of(ctx).json:
        emit({"repo": repo, "address": address, "files": parcel.sizes, "records": parcel.records})
        return
    if dry_run:
        _list(parcel, public)
    else:
        say_line(f"sent {len(parcel.files)} files to {address}")


def _list(parcel: Parcel, public: bool) -> None:
    kind = "public" if public else "private"
    say_line(f"Would send to {parcel.repo} ({kind}, if it is new):")
    for name, size in parcel.sizes.items():
        say_line(f"{size:>13,} bytes  {name}")
    say_line(f"Records in the model card: {parcel.records}. Nothing was sent.")
