"""Verify the archives that a pull request offers, and name the records that none of them holds.

``python scripts/check_submissions.py OFFERED --base BASE`` compares two checkouts. It verifies
every archive in ``OFFERED/leaderboards/submissions`` and runs no file of that checkout. The exit
code is 1 where an archive fails.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import click

BOARDS, SUBMISSIONS, RECORDS = "leaderboards", "submissions", "records"
MOST_CHARACTERS = 20_000
"""Characters of what is shown of one verification; the log has everything."""
MOST_BYTES = 10_000_000
"""Bytes of a record that is compared; no record has as many."""


def archives_in(checkout: Path) -> list[Path]:
    """Return the archives that a checkout offers. A link is none."""
    found = (checkout / BOARDS / SUBMISSIONS).glob("*.zip")
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def new_records(offered: Path, base: Path) -> list[Path]:
    """Return the records of ``offered`` that are not in ``base`` or differ there."""
    found = []
    for path in sorted((offered / BOARDS / RECORDS).glob("*/*.json")):
        if path.name == "verified.json" or path.is_symlink() or not path.is_file():
            continue
        there = base / path.relative_to(offered)
        if not there.is_file() or there.read_bytes() != path.read_bytes():
            found.append(path)
    return found


def without_archive(records: Iterable[Path], archives: Iterable[Path]) -> list[Path]:
    """Return the records that no archive holds byte by byte."""
    held: set[tuple[str, bytes]] = set()
    for archive in archives:
        try:
            with zipfile.ZipFile(archive) as opened:
                for info in opened.infolist():
                    folder, _, name = info.filename.rpartition("/")
                    if folder == RECORDS and info.file_size <= MOST_BYTES:
                        held.add((name, opened.read(info)))
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError):
            # 'robench verify' says what is wrong with it.
            continue
    return [path for path in records if (path.name, path.read_bytes()) not in held]


def verify(archive: Path) -> tuple[int, str]:
    """Verify one archive, and return the exit code and what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "robench", "verify", str(archive), "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def fenced(text: str) -> list[str]:
    """Return a text of strangers as lines of Markdown in which it stays a text."""
    return ["````text", text[:MOST_CHARACTERS].replace("`", "'").rstrip(), "````", ""]


@click.command()
@click.argument("offered", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--base",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The checkout that the pull request is for.",
)
@click.option("--report", type=click.Path(path_type=Path), help="A file that gets the results.")
def main(offered: Path, base: Path, report: Path | None) -> None:
    """Check what a pull request offers."""
    archives, wrong, lines = archives_in(offered), [], ["# Submissions", ""]
    for number, archive in enumerate(archives, start=1):
        code, said = verify(archive)
        click.echo(said)
        wrong += [archive.name] if code else []
        lines += [f"## Archive {number}", "", *fenced(f"{archive.name}\n\n{said}")]
    claimed = without_archive(new_records(offered, base), archives)
    if claimed:
        names = "\n".join(path.name for path in claimed)
        lines += ["## Records that no archive holds", "", "They stay claims.", "", *fenced(names)]
        click.echo(f"No archive holds these records, so they stay claims:\n{names}")
    if not archives and not claimed:
        lines.append("There is nothing to verify.")
        click.echo(lines[-1])
    if report is not None:
        report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if wrong:
        raise click.ClickException(f"{len(wrong)} archives do not hold: {', '.join(wrong)}.")


if __name__ == "__main__":
    main()
