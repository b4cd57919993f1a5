"""An evaluation whose search processes share one device process, with a real victim.

The victim has the queue of a GPU on the processor.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from device_cases import load_queued, queue_of
from evaluation_cases import FinishedRun, Listening, trials_of, without_measurements

from robench.evaluation.run import evaluate
from robench.models.saved_folder import SavedFolder, read_unchanged
from robench.models.victim import Victim
from robench.models.victim_folder import identity
from robench.models.victim_reader import load_reader
from robench.search.shared_device.messages import can_hand_on

# Each test starts processes, or waits for the finished run.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on"),
]


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every victim a queue, in this process and in those that it starts."""
    monkeypatch.setattr(Victim, "forward_queue", queue_of)
    monkeypatch.setattr("robench.models.saved_folder.load_unchanged", load_queued)


def test_trials_of_two_processes_with_one_device_are_those_of_one_process(
    finished: FinishedRun, tmp_path: Path, queued: Any
) -> None:
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    report = Listening()
    options = {name: value for name, value in request.options.items() if "attack" not in name}
    changes = {"out": tmp_path, "workers": 2, "attacks": ("pwws",), "options": options}
    (record,) = evaluate(request.model_copy(update=changes), report)
    assert without_measurements(record) == without_measurements(records[1])
    usual = trials_of(request.out)
    assert {name: trial for name, trial in usual.items() if "pwws" in name} == trials_of(tmp_path)
    assert "2 search processes share one victim on cpu." in report.messages
    assert not multiprocessing.active_children()


def test_a_reader_reads_as_its_victim(finished: FinishedRun) -> None:
    (folder,) = (finished[0].out / "victims").iterdir()
    reader, victim = load_reader(folder), Victim.load(folder)
    texts = [{"text": "the film was good"}, {"text": "A story, an UNKNOWN word & more " * 9}]
    for fields in texts:
        one, other = reader.read(fields), victim.read(fields)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.token_types.tolist() == other.token_types.tolist()
    assert (reader.attackable, reader.segments) == (victim.attackable, victim.segments)
    assert reader.encoder_fields.max_tokens == victim.encoder_fields.max_tokens
    assert reader.card == victim.card
    assert read_unchanged(SavedFolder(folder, identity(victim.card))).card == victim.card
