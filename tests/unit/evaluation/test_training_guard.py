"""A training neither ends nor changes the rest of a run."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

import numpy as np
import pytest
from evaluation_cases import Listening

from robench import Example
from robench._base.errors import RobenchError, UsageError
from robench.evaluation.training_guard import one_failure, same_core, training_alone
from robench.models import probabilities


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("kind", [ValueError, KeyError, RecursionError, KeyboardInterrupt])
def test_an_error_of_a_plugin_is_one_sentence_with_its_place(kind: type[BaseException]) -> None:
    with pytest.raises(RobenchError) as caught, one_failure("The training of x"):
        _raise(kind("no layer."))
    sentence = str(caught.value)
    assert sentence.startswith(f"The training of x broke: {kind.__name__}: ")
    assert " (test_training_guard.py, line " in sentence
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    "error",
    [
        RobenchError("No."),
        UsageError("No."),
        SystemExit(0),
        MemoryError(),
        PermissionError(errno.EACCES, "no", "f"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_has_a_sentence_already_is_left_alone(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, one_failure("It"):
        _raise(error)
    assert caught.value is error


@pytest.mark.parametrize("swallows", [False, True])
def test_ctrl_c_ends_the_run_also_where_a_plugin_swallows_it(swallows: bool) -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            if swallows:
                raise ValueError("something else") from None
            raise

    with pytest.raises(KeyboardInterrupt), one_failure("It"):
        work()


def test_replaced_code_is_put_back_and_told() -> None:
    report, own = Listening(), probabilities.softmax
    with same_core("The training of x", report):
        pass
    assert report.messages == []
    with same_core("The training of x", report):
        probabilities.softmax = lambda logits: logits
    assert probabilities.softmax is own
    assert report.messages == [
        "The training of x replaced code of robench or NumPy, first "
        "'robench.models.probabilities.softmax'. It is put back, because it would change every "
        "result that comes after."
    ]


def test_a_failed_training_leaves_nothing_changed() -> None:
    report, own, errors = Listening(), np.argmax, np.geterr()

    def work() -> None:
        np.argmax = lambda *rest: 0  # type: ignore[assignment]
        np.seterr(all="ignore")
        raise ValueError

    with (
        pytest.raises(RobenchError, match="The training of x broke"),
        training_alone("x", report),
    ):
        work()
    assert np.argmax is own
    assert np.geterr() == errors
    assert len(report.messages) == 2


def test_a_training_gets_examples_of_its_own_and_no_test_examples(tmp_path: Any) -> None:
    from lying_tasks import lying_task, sound

    from robench.evaluation.training_guard import with_own_data
    from robench.training.request import FitRequest

    (tmp_path / "swaps.json").write_text('{"good": ["fine"]}')
    with lying_task(sound, str(tmp_path / "swaps.json")) as task:
        fit = FitRequest(
            defense="standard",
            task=task,
            splits=sound(),
            encoder="none",
            protocol=None,  # type: ignore[arg-type]
            substitutions=None,
        )
        own = with_own_data(fit)
    assert list(own.splits.test) == []
    assert own.splits.train == fit.splits.train
    assert own.splits.dev == fit.splits.dev
    assert own.splits.training_digests == fit.splits.training_digests
    fields: Any = own.splits.train[0].fields
    fields["text"] = "another"
    assert fit.splits.train[0].fields["text"] != "another"
    assert isinstance(own.splits.dev[0], Example)
