"""Other libraries print nothing between robench's own lines."""

from __future__ import annotations

import logging as standard_logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers import AutoModel, BertConfig, BertModel
from transformers.utils import logging

from robench._base.quiet import QUIET_SETTINGS, quiet_environment, quiet_models


@pytest.fixture
def checkpoint_without_pooler(tmp_path: Path) -> Path:
    """A saved encoder that lacks a layer of the model, which transformers reports."""
    config = BertConfig(
        vocab_size=10,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=8,
    )
    with quiet_models():
        BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers and the hub's client as they are without any setting."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    logging.set_verbosity_warning()
    logging.enable_progress_bar()


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What transformers logs."""
    seen: list[str] = []

    class Recorder(standard_logging.Handler):
        def emit(self, record: standard_logging.LogRecord) -> None:
            seen.append(record.getMessage())

    recorder = Recorder()
    logger = logging.get_logger("transformers")
    logger.addHandler(recorder)
    yield seen
    logger.removeHandler(recorder)


def test_missing_layers_are_reported_outside_and_not_inside(
    checkpoint_without_pooler: Path, messages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with quiet_models():
        AutoModel.from_pretrained(checkpoint_without_pooler, trust_remote_code=False)
    captured = capsys.readouterr()
    assert (messages, captured.out, captured.err) == ([], "", "")
    AutoModel.from_pretrained(checkpoint_without_pooler, trust_remote_code=False)
    assert any("pooler" in message for message in messages)


def test_errors_are_still_logged_and_raised(tmp_path: Path, messages: list[str]) -> None:
    with quiet_models(), pytest.raises(ValueError, match="Unrecognized model"):
        AutoModel.from_pretrained(tmp_path, trust_remote_code=False)
    with quiet_models():
        logging.get_logger("transformers.models").error("a real error")
    assert messages == ["a real error"]


def fail_quietly() -> None:
    with quiet_models():
        assert not logging.is_progress_bar_enabled()
        assert are_progress_bars_disabled()
        raise ZeroDivisionError


def test_bars_are_off_inside_and_on_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        fail_quietly()
    assert logging.is_progress_bar_enabled()
    assert not are_progress_bars_disabled()
    assert logging.get_verbosity() == logging.WARNING


def test_bars_that_were_off_stay_off() -> None:
    logging.disable_progress_bar()
    with quiet_models():
        assert not logging.is_progress_bar_enabled()
    assert not logging.is_progress_bar_enabled()
    assert are_progress_bars_disabled()


@pytest.mark.filterwarnings("error")
def test_bars_that_the_user_asked_for_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", False)
    with quiet_models():
        assert logging.is_progress_bar_enabled()


def test_a_stricter_level_is_kept() -> None:
    logging.set_verbosity(logging.CRITICAL)
    with quiet_models():
        assert logging.get_verbosity() == logging.CRITICAL
    assert logging.get_verbosity() == logging.CRITICAL


def test_a_release_without_the_function_keeps_its_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(logging, "is_progress_bar_enabled")
    with quiet_models():
        assert logging.get_verbosity() == logging.ERROR


def test_a_variable_that_the_user_has_set_keeps_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in QUIET_SETTINGS:
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    quiet_environment()
    assert {name: os.environ[name] for name in QUIET_SETTINGS} == {
        **QUIET_SETTINGS,
        "TRANSFORMERS_VERBOSITY": "info",
    }
