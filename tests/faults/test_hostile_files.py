"""Hostile files in every place that a command reads: each gets one sentence, in little memory.

A file is hostile if opening it hangs (a pipe), if it has no end (``/dev/zero``), if it is huge, or
if its content makes a parser recurse, convert or allocate without bound. For the table::

    python tests/faults/test_hostile_files.py
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from fault_cases import few

from robench.cli import main

SECONDS = 300.0
"""More than any of these commands takes on a busy machine; a hang takes for ever."""
MEMORY_KB = 1_500_000
"""More than a command with torch takes, less than the smallest bomb here would."""
SENTENCE = 4_000
"""Most characters that a command says."""
GROWTH_KB = 700_000
"""Most memory that one hostile file may cost."""
HANG = "the command hangs"


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, standard error, and peak memory in kB."""

    code: int
    said: str
    memory_kb: int


def run(*arguments: str, stdin: bytes | None = b"", cwd: Path) -> Outcome:
    """Run the command line, and fail if it does not end."""
    environment = os.environ | {
        "PYTHONPATH": str(Path.cwd()),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "robench", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE if stdin is not None else os.open("/dev/zero", os.O_RDONLY),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    hung = threading.Event()

    def end() -> None:
        hung.set()
        process.kill()

    timer = threading.Timer(SECONDS, end)
    timer.start()
    assert process.stdout is not None
    if process.stdin is not None:
        process.stdin.write(stdin or b"")
        process.stdin.close()
    said = process.stdout.read().decode(errors="replace")
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    assert not hung.is_set(), f"{arguments} hangs: {said[-500:]}"
    return Outcome(process.returncode, said, usage.ru_maxrss)


def check(outcome: Outcome, codes: tuple[int, ...] = (1, 2)) -> None:
    """Check that a command refused something as it should."""
    said = outcome.said
    assert "Traceback" not in said, said
    assert "unexpected" not in said, said
    assert outcome.code in codes, said
    assert len(said) < SENTENCE, said[:500]
    assert outcome.memory_kb < bound_kb(MEMORY_KB), said


def bound_kb(wanted: int) -> int:
    """Return a bound on the peak memory of a command that this process has started.

    Linux counts the memory of the starting process as the command's until it has begun.
    """
    return max(wanted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + 100_000)


Make = Callable[[Path], object]


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(20_000_000_000)


def text(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


FILES: dict[str, Make] = {
    "pipe": os.mkfifo,
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "sparse": sparse,
    "deep lists": text(b"[" * 100_000),
    "deep objects": text(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deep TOML": text(b"a = " + b"[" * 9_000 + b"]" * 9_000),
    "many digits": text(b'{"a": ' + b"9" * 1_000_000 + b"}"),
    "thousands of digits": text(b'{"schema": ' + b"9" * 4_000 + b"}"),
    "digits of TOML": text(b"title = " + b"9" * 5_000),
    "lone surrogates": text(b'{"a": "\\ud800", "\\udfff": 1}\n'),
    "NaN": text(b'{"schema": NaN, "label": Infinity}'),
    "repeated keys": text(b'{"a": 1, "a": 2}'),
    "no UTF-8": text(b"a,b\n\xff\xfe\xfd,1\n"),
    "UTF-16": text('{"a": 1}'.encode("utf-16")),
    "NULs": text(b"\0" * 100_000),
    "a line of 40 MB": text(b"x" * 40_000_000),
    "a million columns": text(b"a,\t" * 1_000_000 + b"\n1,2\n"),
    "controls": text(b"\x1b[2J\x1b]0;owned\x07,\r\n" * 50),
    "empty": text(b""),
}

CELL = ("--defense", "standard", "--attack", "pwws", "--dry-run", "--no-hub", "--device", "cpu")
PLACES: dict[str, tuple[str, ...]] = {
    "board.toml": ("leaderboard", "--check", "--board", "board.toml"),
    "study.toml": ("evaluate", "--config", "study.toml"),
    "ids.txt": ("evaluate", "--task", "mini-reviews", "--ids", "ids.txt", *CELL),
    "set.json": ("evaluate", "--task", "mini-reviews", *CELL, "--attack", "pwws@set.json"),
    "victim/victim.json": ("card", "victim"),
    "a.csv": ("evaluate", "--task", "a.csv", *CELL),
    "a.tsv": ("evaluate", "--task", "a.tsv", *CELL),
    "a.jsonl": ("evaluate", "--task", "a.jsonl", *CELL),
    "a.parquet": ("evaluate", "--task", "a.parquet", *CELL),
    "scores.txt": ("evaluate", "--task", "mini-reviews", "--lm", "file:scores.txt", *CELL),
    "d/x.zip": ("evaluate", "--task", "imdb", "--data", "d", *CELL),
    "d/x.tar.xz": ("evaluate", "--task", "imdb", "--data", "d", *CELL),
    "d/aclImdb/test/neg/0_1.txt": ("evaluate", "--task", "imdb", "--data", "d", *CELL),
    "runs/records/x.json": ("examples", "runs"),
    "v/training.json": ("plot", "training", "--victim", "v", "--to", "a.png"),
    "test.csv": ("evaluate", "--task", "mini-reviews", "--test", "test.csv", *CELL),
}
"""File that a stranger made -> a command that reads it."""


@dataclass
class Tally:
    """What happened in one place over all kinds of files; everything but ``tries`` should be 0."""

    tries: int = 0
    hung: int = 0
    crashed: int = 0
    accepted: int = 0
    long: int = 0
    large: int = 0
    bad: list[str] = field(default_factory=list)

    def add(self, kind: str, code: int, said: str, memory_kb: int) -> None:
        """Count one try."""
        self.tries += 1
        hung = said.endswith(HANG)
        crashed = not hung and (
            "Traceback" in said or "unexpected" in said or code not in (1, 2, 0)
        )
        found = {
            "hung": hung,
            "crashed": crashed,
            "accepted": code == 0,
            "long": len(said) > SENTENCE or "\x1b]" in said,
            "large": memory_kb > GROWTH_KB,
        }
        for name, is_so in found.items():
            setattr(self, name, getattr(self, name) + is_so)
        if any(found.values()):
            self.bad.append(f"{kind}: {code} {said[-300:]}")


def try_place(place: str, folder: Path) -> Tally:
    """Put every kind of file into one place, and run the command in this process."""
    tally = Tally()
    # The first command imports torch, whose memory does not count.
    invoke(*PLACES[place], cwd=folder)
    for number, (kind, make) in enumerate(FILES.items()):
        inner = folder / str(number)
        for name in PLACES:
            (inner / name).parent.mkdir(parents=True, exist_ok=True)
        make(inner / place)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        code, said = invoke(*PLACES[place], cwd=inner)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        tally.add(kind, code, said, grown)
    return tally


def invoke(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Run a command in this process, and give its exit code and all that it said."""

    def alarm(*_: object) -> None:
        raise TimeoutError(HANG)

    home = Path.cwd()
    old = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(int(SECONDS))
    os.chdir(cwd)
    try:
        result = CliRunner().invoke(main, list(arguments))
    finally:
        os.chdir(home)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    return result.exit_code, result.output


@pytest.mark.slow
@pytest.mark.parametrize("place", few(PLACES, "study.toml", "ids.txt"))
def test_every_hostile_file_is_one_sentence(place: str, tmp_path: Path) -> None:
    tally = try_place(place, tmp_path)
    assert tally.bad == []
    assert tally.tries == len(FILES)


def test_the_tally_counts_what_it_is_for() -> None:
    tally = Tally()
    tally.add("good", 2, "Error: it is a pipe.", 0)
    assert tally.bad == []
    tally.add("hang", 1, f"Error: {HANG}", 0)
    tally.add("crash", 1, "robench stopped on an unexpected ValueError", 0)
    tally.add("killed", -9, "", 0)
    tally.add("accepted", 0, "fine", 0)
    tally.add("long", 2, "x" * 10_000, 0)
    tally.add("large", 2, "Error: x", 10**7)
    assert (tally.hung, tally.crashed, tally.accepted, tally.long, tally.large) == (1, 2, 1, 1, 1)
    assert len(tally.bad) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "kind"),
    [("study.toml", "pipe"), ("ids.txt", "link to /dev/zero"), ("a.jsonl", "deep lists")],
)
def test_the_real_command_line_ends_at_once(tmp_path: Path, place: str, kind: str) -> None:
    FILES[kind](tmp_path / place)
    check(run(*PLACES[place], cwd=tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("endless", [True, False])
def test_endless_standard_input_is_refused(tmp_path: Path, endless: bool) -> None:
    stdin = None if endless else b"word " * 500_000
    outcome = run("attack", "-", "--victim", "tiny", "--attack", "pwws", stdin=stdin, cwd=tmp_path)
    check(outcome)


def bomb(path: Path, member: str) -> None:
    """Write an archive whose one member unpacks to 1 GB."""
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped,
            zipped.open(member, "w", force_zip64=True) as stream,
        ):
            for _ in range(100):
                stream.write(bytes(10_000_000))
        return
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        info = tarfile.TarInfo(member)
        info.size = 1_000_000_000
        with Path("/dev/zero").open("rb") as zeros:
            tar.addfile(info, zeros)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", few([".zip", ".tar.gz"], ".tar.gz"))
@pytest.mark.parametrize("member", few(["aclImdb/test/neg/0_1.txt", "other"], "other"))
def test_a_bomb_is_refused(tmp_path: Path, suffix: str, member: str) -> None:
    (tmp_path / "d").mkdir()
    bomb(tmp_path / "d" / f"x{suffix}", member)
    assert (tmp_path / "d" / f"x{suffix}").stat().st_size < 10_000_000
    outcome = run("evaluate", "--task", "imdb", "--data", "d", *CELL, cwd=tmp_path)
    check(outcome)
    assert outcome.memory_kb < bound_kb(700_000)
    if member != "other":
        assert "unpacks to 1,000,000,000 bytes" in outcome.said
        assert "ROBENCH_READ_LIMITS=1000 raises the limit" in outcome.said


@pytest.mark.slow
def test_a_member_that_leads_outside_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with tarfile.open(tmp_path / "d" / "x.tar.gz", "w:gz") as tar:
        for name in ("../outside", "/tmp/reader-outside", "aclImdb/../../outside"):
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"ok"))
    before = sorted(path for path in tmp_path.rglob("*"))
    check(run("evaluate", "--task", "imdb", "--data", "d", *CELL, cwd=tmp_path))
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert not Path("/tmp/reader-outside").exists()


@pytest.mark.slow
def test_hostile_records_stop_no_table(tmp_path: Path) -> None:
    """Every kind of hostile file lies in the folder of records, beside real ones."""
    committed = sorted(Path("leaderboards/records/mini-reviews").glob("*.json"))[:2]
    records = tmp_path / "runs" / "records"
    records.mkdir(parents=True)
    for path in committed:
        shutil.copy(path, records / path.name)
    for number, make in enumerate(FILES.values()):
        make(records / f"hostile-{number}.json")
    raw = json.loads(committed[0].read_text())
    raw["cost"]["asked"] = 10**300
    (records / "absurd.json").write_text(json.dumps(raw))
    code = "import sys; from robench.records.record_files import find_records; "
    code += "from pathlib import Path; found = find_records(Path('runs/records')); "
    code += "print(len(found.records), len(found.damaged))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert done.stdout.split() == ["2", str(len(FILES) + 1)]
    outcome = run("plot", "curves", "runs", "--to", "a.png", cwd=tmp_path)
    check(outcome, (0, 1, 2))
    assert f"{len(FILES) + 1} records of runs cannot be read" in " ".join(outcome.said.split())


if __name__ == "__main__":
    heads = ("tries", "hung", "crashed", "accepted", "long", "large")
    sys.stdout.write(f"{'place':28}" + "".join(f"{head:>10}" for head in heads) + "\n")
    for chosen in PLACES:
        with tempfile.TemporaryDirectory() as made:
            counted = try_place(chosen, Path(made))
        numbers = "".join(f"{getattr(counted, head):>10}" for head in heads)
        sys.stdout.write(f"{chosen:28}{numbers}\n")
