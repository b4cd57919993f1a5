"""Several trainings side by side: what the run hears of them, and what it makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from robench._base.errors import RobenchError, UsageError
from robench.evaluation import side_by_side
from robench.evaluation.request import build_request
from robench.evaluation.resolved_victims import TrainedVictim
from robench.evaluation.side_by_side import SideBySide, train_in_process

News = Callable[[Connection], None]


@dataclass
class Listening:
    """Keeps what a run reports."""

    messages: list[str] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    advances: list[tuple[int, str]] = field(default_factory=list)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def started(self, phase: str, what: str, total: int | None) -> None:
        self.phases.append(f"{phase} {what}")

    def advanced(self, done: int, total: int | None, note: str) -> None:
        self.advances.append((done, note))

    def finished(self, note: str) -> None:
        self.phases.append(note)


class Process:
    """A thread that looks like a process."""

    running = 0
    most = 0
    ended: list[str] = []  # noqa: RUF012

    def __init__(self, key: str, news: Connection, tell: News, exitcode: int) -> None:
        self.exitcode, self._key = exitcode, key
        self._thread = threading.Thread(target=self._run, args=(news, tell))

    def _run(self, news: Connection, tell: News) -> None:
        tell(news)
        Process.running -= 1

    def start(self) -> None:
        Process.running += 1
        Process.most = max(Process.most, Process.running)
        self._thread.start()
        # The parent closes its end after the start, and a thread shares it.
        self._thread.join()

    def join(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def terminate(self) -> None:
        Process.ended.append(self._key)

    def kill(self) -> None:
        pass


def victims(*names: str, state: str = "train") -> list[SimpleNamespace]:
    made = []
    for name in names:
        victim = object.__new__(TrainedVictim)
        fit = SimpleNamespace(key=f"key of {name}", seed=0, defense=name)
        object.__setattr__(victim, "fit", fit)
        object.__setattr__(victim, "defense_label", name)
        made.append(victim)
    return [SimpleNamespace(name="imdb", victims=made)]


@pytest.fixture(autouse=True)
def missing_victims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainedVictim, "state", lambda victim, request: "train")
    Process.running = Process.most = 0
    Process.ended = []


def run(
    monkeypatch: pytest.MonkeyPatch,
    names: Sequence[str],
    tells: dict[str, tuple[News, int]],
    number: int = 2,
    **values: Any,
) -> tuple[SideBySide, Listening, list[Any]]:
    def child(function: Any, request: Any, key: str, title: str, shared: Any) -> Process:
        assert function is train_in_process
        tell, code = tells.get(key.removeprefix("key of "), (well, 0))
        process = Process(key, shared[0], tell, code)
        process.start()
        return process

    monkeypatch.setattr(side_by_side, "start_child", child)
    heard, tasks = Listening(), victims(*names)
    request = build_request(
        defenses=tuple(names), parallel_victims=number, out=Path("none"), **values
    )
    trainings = SideBySide(request, heard)
    trainings.train(tasks)  # type: ignore[arg-type]
    return trainings, heard, tasks[0].victims


def well(news: Connection) -> None:
    news.send(("advanced", 0.5, "epoch 1 of 2"))
    news.send(("message", "saved in somewhere"))
    news.send(("trained",))


def badly(news: Connection) -> None:
    news.send(("failed", "It diverged.", False))


def silently(news: Connection) -> None:
    news.send(("advanced", 0.9, "epoch 2 of 2"))


def test_messages_name_their_victim(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings, heard, made = run(monkeypatch, ["standard", "rift"], {})
    assert heard.phases == ["training 2 victims, 2 side by side", "2 of 2 victims are trained"]
    assert heard.messages == [
        "standard on imdb, seed 0: saved in somewhere",
        "rift on imdb, seed 0: saved in somewhere",
    ]
    for victim in made:
        trainings.check(victim)


def test_a_training_that_fails_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["standard", "rift", "ascc"]
    trainings, heard, made = run(monkeypatch, names, {"rift": (badly, 0)})
    assert heard.phases[-1] == "2 of 3 victims are trained"
    assert "rift on imdb, seed 0: failed. It diverged." in heard.messages
    trainings.check(made[0])
    with pytest.raises(RobenchError, match=r"It diverged\.") as caught:
        trainings.check(made[1])
    assert caught.value.exit_code == 1
    trainings.check(made[2])


def test_wrong_use_stays_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(news: Connection) -> None:
        news.send(("failed", "There is no such encoder.", True))

    trainings, _, made = run(monkeypatch, ["standard", "rift"], {"rift": (refuse, 0)})
    with pytest.raises(UsageError, match="no such encoder"):
        trainings.check(made[1])


@pytest.mark.parametrize(("code", "how"), [(-9, "signal 9"), (3, "exit code 3")])
def test_a_process_that_dies_costs_its_own_victim(
    monkeypatch: pytest.MonkeyPatch, code: int, how: str
) -> None:
    names = ["standard", "rift"]
    trainings, heard, made = run(monkeypatch, names, {"standard": (silently, code)})
    with pytest.raises(RobenchError, match="smaller --parallel-victims") as caught:
        trainings.check(made[0])
    assert how in str(caught.value)
    assert any(how in message for message in heard.messages)
    trainings.check(made[1])


def test_no_more_processes_run_than_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["standard", "rift", "ascc", "mixout"]
    _, heard, _ = run(monkeypatch, names, {}, number=8)
    assert heard.phases[0] == "training 4 victims, 4 side by side"


@pytest.mark.parametrize(("names", "number"), [(["standard", "rift"], 1), (["standard"], 4)])
def test_one_victim_or_one_at_a_time_needs_no_process(
    monkeypatch: pytest.MonkeyPatch, names: list[str], number: int
) -> None:
    trainings, heard, _ = run(monkeypatch, names, {}, number=number, retrain=True)
    assert heard.phases == heard.messages == []
    assert trainings.then.retrain


def test_the_rest_of_the_run_does_not_train_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings, _, _ = run(monkeypatch, ["standard", "rift"], {}, retrain=True)
    assert not trainings.then.retrain
    assert trainings.request.retrain


def test_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="Use one of them"):
        run(monkeypatch, ["standard", "rift"], {})


def test_what_ends_the_run_ends_the_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(connections: Any, timeout: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(side_by_side, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, ["standard", "rift"], {})
    assert Process.ended == ["key of standard", "key of rift"]


@pytest.mark.parametrize("number", [0, -2])
def test_a_wrong_number_is_refused(number: int) -> None:
    with pytest.raises(UsageError, match=f"--parallel-victims must be at least 1, got {number}"):
        build_request(defenses=("rift",), parallel_victims=number)
