"""What a worker process does: load a victim once, and attack the jobs that its parent sends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection

from robench._base.errors import RobenchError
from robench._base.no_exit import EndedByCode, as_failure, end_copy, without_os_exit
from robench.plugins.options import build_options
from robench.search.engine import Engine
from robench.search.jobs import Job
from robench.search.pulse import Pulse
from robench.search.registry import ATTACKS
from robench.search.repeats import Repeats
from robench.search.shared_device.client import DeviceLine, SharedVictim
from robench.search.unchanged import UnchangedVictim, VictimChanged
from robench.search.victim_protocol import SearchVictim
from robench.search.whitebox import check_access
from robench.search.worker_plan import WorkerPlan


def run_worker(
    plan: WorkerPlan, connection: Connection, pulse: Pulse, line: DeviceLine | None = None
) -> None:
    """Load the victim, then attack the jobs that the parent sends until it sends none.

    Code that tries to end the process becomes an error, which the parent gets. A process that ends
    all the same is noticed by the parent. With a ``line``, the victim is in the device process.
    """
    with without_os_exit():
        try:
            with as_failure():
                new_engine, unchanged = prepare(plan, pulse, line)
                repeats = repeats_of(plan.attack)
        except RobenchError as error:
            connection.send(("failed", str(error)))
            return
        except Exception as error:
            problem = f"A worker process failed to start ({type(error).__name__}: {error})."
            connection.send(("failed", problem))
            return
        _work(new_engine, unchanged, repeats, plan.attack, connection)


def _work(
    new_engine: Callable[[], Engine],
    unchanged: UnchangedVictim,
    repeats: Repeats | None,
    attack: str,
    connection: Connection,
) -> None:
    """Attack jobs until there are no more, and then look whether the victim is still the same.

    The first examples are attacked again, where ``repeats`` is given. The parent learns that the
    checks have ended well.
    """
    try:
        with as_failure():
            while (jobs := _next_jobs(connection)) is not None:
                for trial in new_engine().trials(_batches(connection, jobs, repeats)):
                    # A search may have forked this process.
                    end_copy()
                    connection.send(("trial", trial))
                    if repeats is not None:
                        repeats.note(trial)
            unchanged.check(attack)
            if repeats is not None:
                repeats.check(lambda jobs: new_engine().trials(iter([jobs])))
            connection.send(("unchanged", None))
    except VictimChanged as error:
        connection.send(("changed", str(error)))
    except EndedByCode as error:
        connection.send(("failed", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The parent has ended.
        return


def prepare(
    plan: WorkerPlan, pulse: Pulse, line: DeviceLine | None = None
) -> tuple[Callable[[], Engine], UnchangedVictim]:
    """Load the attack and the victim.

    Args:
        plan: what to load.
        pulse: of this process.
        line: to the device process, if that has the victim.

    Returns:
        A function that makes engines, and what the victim is now.
    """
    attack = ATTACKS.get(plan.attack)
    options = build_options(attack.Options, plan.options, f"attack '{plan.attack}'")
    victim: SearchVictim
    if line is None or plan.sharing is None:
        victim = plan.load(plan.victim, plan.settings.device)
    else:
        victim = SharedVictim(plan.sharing.read(plan.victim), line, plan.settings.device)
    # Two workers of one thread beat one worker of two. A victim without torch does not import it.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    check_access(search := attack(options), plan.attack, victim)
    new_engine = partial(
        Engine, victim, search, plan.attack, plan.settings, shapes=plan.shapes, pulse=pulse
    )
    return new_engine, UnchangedVictim(victim)


def is_built_in(attack: str) -> bool:
    """Return whether robench brings an attack. An unknown name is for the workers to refuse."""
    try:
        return ATTACKS.origin(attack) == "built-in"
    except (KeyError, RobenchError):
        return False


def repeats_of(attack: str) -> Repeats | None:
    """Return what attacks some examples again; None for robench's own attacks, which are tested."""
    return None if is_built_in(attack) else Repeats(attack)


def _next_jobs(connection: Connection) -> list[Job] | None:
    """Request jobs from the parent; None means that there are no more."""
    connection.send(("more", None))
    jobs: list[Job] | None = connection.recv()
    return jobs


def _batches(
    connection: Connection, jobs: list[Job] | None, repeats: Repeats | None
) -> Iterator[Sequence[Job]]:
    """Yield batches for the engine until the parent has no job to add for now."""
    while jobs:
        yield jobs if repeats is None else list(repeats.jobs(jobs))
        jobs = _next_jobs(connection)
