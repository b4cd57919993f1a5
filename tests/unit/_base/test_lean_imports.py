"""Commands import transformers without packages of other tasks; programs get it as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from robench._base.lean_imports import LEAN
from robench._base.quiet import quiet_environment

# Each test imports transformers in a process of its own.
pytestmark = pytest.mark.slow

INSTALLED = [find_spec("sklearn") is not None, find_spec("scipy") is not None]

LOAD = """
import json, sys
from robench._base.quiet import quiet_environment, quiet_models
if sys.argv[1] == "command":
    quiet_environment()
import transformers.utils
before = [transformers.utils.is_sklearn_available, transformers.utils.is_scipy_available]
with quiet_models():
    from transformers import BertConfig, BertModel
    config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
                        intermediate_size=4)
    size = BertModel(config).config.hidden_size
if sys.argv[1] == "command":
    from robench.text.words import split_words
    assert split_words("It can't be. Mr. Smith is here.") == [
        "It", "ca", "n't", "be", ".", "Mr.", "Smith", "is", "here", "."
    ]
after = [transformers.utils.is_sklearn_available, transformers.utils.is_scipy_available]
imported = [name in sys.modules for name in ("sklearn", "scipy")]
import importlib.util
found = [importlib.util.find_spec(name) is not None for name in ("sklearn", "scipy")]
print(json.dumps({
    "found": found,
    "size": size,
    "same": before == after,
    "here": [after[0](), after[1]()],
    "imported": imported,
}))
"""

FIRST_MODEL = """
import sys
from robench._base.quiet import quiet_environment
quiet_environment()
from transformers import BertConfig
from robench._base.pretrained import make_model, read_model
config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
                    intermediate_size=4)
if sys.argv[1] == "made":
    assert make_model("AutoModel", config).config.hidden_size == 4
else:
    try:
        read_model("AutoModel", sys.argv[2])
    except ValueError as error:
        assert sys.argv[2] in str(error)
print([name for name in ("sklearn", "scipy") if name in sys.modules])
"""
"""A process whose first model is made from a configuration, or read."""


def loaded(kind: str, **environment: str) -> Any:
    """Return what a process says that loads a model."""
    inherited = {name: value for name, value in os.environ.items() if name != LEAN}
    run = subprocess.run(
        [sys.executable, "-c", LOAD, kind],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(run.stdout)


def test_a_command_imports_neither_package_and_transformers_still_knows_them() -> None:
    said = loaded("command")
    assert said["size"] == 4
    assert said["imported"] == [False, False]
    assert said["same"]
    assert said["here"] == said["found"] == INSTALLED


@pytest.mark.parametrize("how", ["made", "read"])
def test_the_first_model_of_a_command_brings_neither(how: str, tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if name != LEAN}
    run = subprocess.run(
        [sys.executable, "-c", FIRST_MODEL, how, str(tmp_path)],
        env=inherited,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout == "[]\n", run.stderr


def test_a_child_inherits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LEAN, raising=False)
    quiet_environment()
    assert os.environ[LEAN] == "1"
    assert loaded("program", **{LEAN: os.environ[LEAN]})["imported"] == [False, False]


def test_a_program_gets_transformers_as_it_is() -> None:
    assert loaded("program")["imported"] == INSTALLED


def test_a_user_can_refuse_it() -> None:
    assert loaded("command", **{LEAN: "0"})["imported"] == INSTALLED
