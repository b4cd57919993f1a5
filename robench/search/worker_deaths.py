"""What the death of a worker process means for the examples that it had.

The process says which example runs (``Pulse``). Only that example can have ended the process, and
the others lose nothing. If none ran, the victim computed or the system ended the process; then the
examples are tried one at a time, so that the next death names one.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

from robench._base.errors import RobenchError

FROM_OUTSIDE = tuple(
    getattr(signal, name)
    for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")
    if hasattr(signal, name)
)
"""Signals by which a person or the system ends a process, whatever it does."""
MOST_LOADING = 3
"""Processes in a row that may die before they have loaded the victim."""
FEW_EXAMPLES = 5
"""Examples that may end their process before the cell can be given up."""
SHARE = 0.05
"""Share of the examples that may end their process; beyond it the cell is given up."""


@dataclass(frozen=True)
class Death:
    """The death of one worker process.

    Attributes:
        code: its exit code; negative for a signal. None if it is unknown.
        running: the example whose search ran, or None.
        assigned: ids of the examples that it had.
        late: whether the process was killed because that search took too long.
    """

    code: int | None
    running: str | None
    assigned: tuple[str, ...]
    late: bool = False

    @property
    def cause(self) -> str:
        """Why it died, in words."""
        return cause_of(self.code)

    @property
    def suspect(self) -> str | None:
        """The only example that can be the reason."""
        if self.running is None and len(self.assigned) == 1:
            return self.assigned[0]
        return self.running


def cause_of(code: int | None) -> str:
    """Return why a process died, in words, given its exit code."""
    if code is not None and code < 0:
        return f"killed by {_signal_name(-code)}"
    return f"exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Deaths:
    """The deaths of the workers of one cell.

    Args:
        attack: name of the attack, for sentences.
    """

    def __init__(self, attack: str) -> None:
        self._attack = attack
        self._of_example: Counter[str] = Counter()
        self._loading = 0
        self._fatal: list[str] = []
        self._servers: set[int] = set()

    def is_known(self, server: int | None) -> bool:
        """Return whether a worker ended with a fork server whose end has been counted already.

        All workers end with their server. That is one event, and no example's doing.

        Args:
            server: with which the worker ended; None if it ended by itself.
        """
        known = server in self._servers
        if server is not None:
            self._servers.add(server)
        return known

    def loaded(self) -> None:
        """Note that a process has loaded the victim."""
        self._loading = 0

    def while_loading(self, code: int | None) -> None:
        """Note that a process died while it loaded the victim.

        Raises:
            RobenchError: too many have died in this way.
        """
        self._loading += 1
        if self._loading >= MOST_LOADING:
            killed = code is None or code < 0
            reason = (
                "Try fewer --workers: each needs memory for a victim."
                if killed
                else "What they said stands above; --workers 1 needs no such process."
            )
            raise RobenchError(
                f"{MOST_LOADING} worker processes in a row ended ({cause_of(code)}) before they "
                f"had loaded the victim. {reason} Finished trials are kept."
            )

    def problem(self, death: Death) -> str | None:
        """Return why the suspect of a death is an ERROR, or None where it is tried again.

        A process that ends by itself is the example's doing. One that was killed is tried again:
        once after a crash, and twice after a signal that comes from outside, too.
        """
        assert death.suspect is not None
        self._of_example[death.suspect] += 1
        count = self._of_example[death.suspect]
        if death.code is None or death.code >= 0:
            tries = 1
        else:
            tries = 3 if -death.code in FROM_OUTSIDE else 2
        if count < tries:
            return None
        times = {1: "", 2: " twice"}.get(count, f" {count} times")
        return f"the worker process died on it{times} ({death.cause})"

    def fatal(self, example: str, problem: str, finished: int) -> None:
        """Note that an example ended its process.

        Args:
            example: its id.
            problem: of its trial.
            finished: number of trials of this run so far.

        Raises:
            RobenchError: there are so many such examples that the cell is given up.
        """
        self._fatal.append(example)
        number = len(self._fatal)
        if number >= FEW_EXAMPLES and number > SHARE * finished:
            raise RobenchError(
                f"Attack '{self._attack}' or the victim cost a worker process on {number} "
                f"different examples, so this cell is given up (the last is {example}: {problem}). "
                "Its finished trials are kept."
            )
