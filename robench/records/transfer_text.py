"""Write transfer tables for a terminal."""

from __future__ import annotations

from robench.records.percent import percent
from robench.records.render import ABSENT
from robench.records.terminal import fitted, wrapped
from robench.records.transfer import TransferCell, TransferRow, TransferTable

MEANING = (
    "Accuracy in %. 'clean', the column of the attack and 'transfer' are shares of all n examples. "
    "'transfer': right on the clean text and on every text that was made for another victim. "
    "'missed': examples that the victim's own attack left standing and such a text fools. The "
    "columns 'texts of …' count only the texts that fooled that victim [95 % Wilson interval]."
)


def terminal(table: TransferTable, width: int | None) -> str:
    """Return the table of one attack, with its warnings, not wider than ``width`` columns."""
    group = table.group
    headings = ["victim", "n", "clean", group.attack, "transfer", "missed"]
    headings += [f"texts of {source.name} ({len(source.texts)})" for source in group.victims]
    body = [_cells(row) for row in table.rows]
    title = f"Transfer of {group.attack} on {group.task}, protocol {group.protocol}"
    notes = [wrapped(f"Warning: {flag}", width) for flag in table.flags]
    return "\n".join([wrapped(title, None), *fitted(headings, body, width), *notes]) + "\n"


def _cells(row: TransferRow) -> list[str]:
    return [
        row.victim.name,
        f"{len(row.transfer):,}",
        *(ABSENT if rate is None else percent(rate) for rate in (row.clean, row.own)),
        ABSENT if row.transferred is None else percent(row.transferred),
        ABSENT if row.missed is None else f"{row.missed:,}",
        *(_cell(cell) for cell in row.cells),
    ]


def _cell(cell: TransferCell) -> str:
    if cell.accuracy is None or cell.interval is None:
        return ABSENT
    low, high = cell.interval
    return f"{percent(cell.accuracy)} [{percent(low)}, {percent(high)}]"
