"""Tasks that break their promises are refused in one sentence, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lying_tasks import LIES, lying_task, sound
from toy import make_toy_encoder

from robench._base.errors import RobenchError
from robench._base.reporting import Silent
from robench.evaluation.run import EvaluationRequest, build_request, evaluate, plan


@pytest.fixture(scope="module")
def toy_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_toy_encoder(tmp_path_factory.mktemp("toy") / "encoder")


def request_of(task: str, encoder: str, folder: Path) -> EvaluationRequest:
    return build_request(
        tasks=(task,),
        defenses=("standard",),
        attacks=("pwws",),
        encoder=encoder,
        lm="none",
        out=folder / "out",
    )


@pytest.mark.parametrize("name", LIES)
def test_a_lying_task_is_refused(
    name: str, tmp_path: Path, toy_encoder: str, tried: Callable[..., None]
) -> None:
    (tmp_path / "swaps.json").write_text('{"good": ["fine"]}')
    lie = LIES[name]
    with lying_task(lie, str(tmp_path / "swaps.json")) as task:
        request = request_of(task, toy_encoder, tmp_path)
        crashed = wrong = 0
        sentence = ""
        try:
            evaluate(request, Silent())
            wrong = 1
        except RobenchError as error:
            sentence = str(error)
        except BaseException as error:
            crashed, sentence = 1, repr(error)[:200]
    tried("lying task", wrong=wrong, crashed=crashed)
    assert (wrong, crashed) == (0, 0), sentence
    assert 20 < len(sentence) < 700
    assert "\n" not in sentence
    assert not list(tmp_path.glob("out/victims/*"))


def test_the_sound_task_is_planned(tmp_path: Path, toy_encoder: str) -> None:
    (tmp_path / "swaps.json").write_text('{"good": ["fine"]}')
    with lying_task(sound, str(tmp_path / "swaps.json")) as task:
        request = request_of(task, toy_encoder, tmp_path)
        assert len(plan(request)) == 1
