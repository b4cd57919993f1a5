"""The log of times: what is appended is read again, and damage costs one line."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from robench.evaluation import cost_log as module
from robench.evaluation.cost_log import CostLog, Done, Work, cost_log

WHEN = datetime(2026, 11, 27, 12, tzinfo=UTC)


def done(device: str = "Xeon (2 cores)", seconds: float = 2.5, **others: Any) -> Done:
    work = Work(kind="attack", device=device, model="tiny", what="pwws", data="toy", units=10)
    return Done(work=work, seconds=seconds, when=WHEN, **others)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_is_added_is_read_in_its_order(tmp_path: Path) -> None:
    log, entries = CostLog(tmp_path / "new" / "rates"), [done(), done(seconds=3), done(asked=7)]
    for each in entries:
        log.add(each)
    assert log.read() == entries
    assert CostLog(tmp_path / "new" / "rates").read() == entries


def test_each_device_has_a_file_whose_name_says_so(tmp_path: Path) -> None:
    log = CostLog(tmp_path)
    for device in ("Xeon (2 cores)", "NVIDIA H100 80GB HBM3", "../../etc/passwd", "Xeon [2 cores]"):
        log.add(done(device))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    assert names[0].startswith("etc-passwd-")
    assert names[1].startswith("nvidia-h100-80gb-hbm3-")
    assert {each.work.device for each in log.read()} == {
        "Xeon (2 cores)",
        "NVIDIA H100 80GB HBM3",
        "../../etc/passwd",
        "Xeon [2 cores]",
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'"seconds":2.5', b'"seconds":0.1'),
        lambda line: line[:40],
        lambda line: b"\xff\x00" + line[5:],
        lambda line: b"{}",
        lambda line: b"x" * 100_000,
    ],
)
def test_a_damaged_line_is_passed_over(tmp_path: Path, change: Any) -> None:
    log = CostLog(tmp_path)
    for seconds in (1.0, 2.5, 3.0):
        log.add(done(seconds=seconds))
    path = only_file(tmp_path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], change(lines[1]), lines[2], b""]))
    assert [each.seconds for each in log.read()] == [1.0, 3.0]


def test_a_line_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    from robench._base.seals import seal_line

    log = CostLog(tmp_path)
    log.add(done())
    with only_file(tmp_path).open("ab") as stream:
        stream.write(seal_line(b'{"work":{"kind":"dreams"},"seconds":1}', module._ABOUT))
    assert log.read() == [done()]


def test_negative_and_endless_times_are_refused() -> None:
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="seconds"):
            done(seconds=seconds)


def test_a_large_file_loses_its_older_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 2000)
    log = CostLog(tmp_path)
    for number in range(40):
        log.add(done(seconds=number))
    kept = [each.seconds for each in log.read()]
    assert 2 <= len(kept) < 12
    assert kept == [float(number) for number in range(40 - len(kept), 40)]


def test_no_file_a_link_and_a_folder_in_its_place_are_harmless(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module._warn.cache_clear()
    assert CostLog(tmp_path / "absent").read() == []
    log = CostLog(tmp_path / "rates")
    log.add(done())
    path = only_file(tmp_path / "rates")
    target = tmp_path / "mine.txt"
    target.write_bytes(b"mine\n")
    path.unlink()
    path.symlink_to(target)
    with caplog.at_level(logging.WARNING):
        log.add(done())
        log.add(done())
    assert target.read_bytes() == b"mine\n"
    assert [record.message[:42] for record in caplog.records] == [
        "How long this run takes is not kept for es"
    ]
    path.unlink()
    path.mkdir()
    assert log.read() == []


def test_the_environment_names_the_folder_or_keeps_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBENCH_RATES", str(tmp_path / "rates"))
    cost_log().add(done())
    assert only_file(tmp_path / "rates").suffix == ".jsonl"
    monkeypatch.setenv("ROBENCH_RATES", "")
    cost_log().add(done())
    assert cost_log().read() == []
    monkeypatch.delenv("ROBENCH_RATES")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    cost_log().add(done())
    assert only_file(tmp_path / "cache" / "robench" / "rates").suffix == ".jsonl"
