"""Set back what a plugin changed of the process, and say it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from robench._base.process_state import ProcessState

if TYPE_CHECKING:
    from robench._base.reporting import Reporter


@contextmanager
def same_process(who: str, report: Reporter) -> Iterator[None]:
    """Restore the settings of the process after the block.

    Args:
        who: what the block runs, for the message.
        report: receives a message if something had changed.
    """
    before = ProcessState()
    try:
        yield
    finally:
        changed = before.restore()
        if changed:
            report.message(
                f"After {who}, {' and '.join(changed)} had changed. This is set back, because it "
                "would change everything that comes after."
            )
