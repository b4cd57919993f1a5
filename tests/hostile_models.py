"""Model folders whose files would run code: each leaves a mark where that code ran."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from robench._base.embedded import embedded_path

CODE = """
import pathlib

from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel
from transformers import BertTokenizerFast

pathlib.Path({mark!r}).write_text("the code ran")


class MyConfig(BertConfig):
    model_type = "mine"


class MyModel(BertModel):
    config_class = MyConfig


class MyMaskedLM(BertForMaskedLM):
    config_class = MyConfig


class MyClassifier(BertForSequenceClassification):
    config_class = MyConfig


class MyTokenizer(BertTokenizerFast):
    pass
"""
AUTO_MAP = {
    "AutoConfig": "mine.MyConfig",
    "AutoModel": "mine.MyModel",
    "AutoModelForMaskedLM": "mine.MyMaskedLM",
    "AutoModelForSequenceClassification": "mine.MyClassifier",
    "AutoTokenizer": ["mine.MyTokenizer", "mine.MyTokenizer"],
}


def change_json(path: Path, **entries: Any) -> None:
    """Change entries of a JSON file; None removes one."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    content |= entries
    path.write_text(json.dumps({name: each for name, each in content.items() if each is not None}))


def with_code(folder: Path, mark: Path) -> Path:
    """Put the code into a folder and return the folder; nothing names the code yet."""
    (folder / "mine.py").write_text(CODE.format(mark=str(mark)))
    return folder


def own_type(folder: Path, mark: Path, source: Path | None = None) -> Path:
    """Write a model whose type only its own code knows."""
    shutil.copytree(source or embedded_path("tiny"), folder)
    change_json(folder / "config.json", model_type="mine", auto_map=AUTO_MAP)
    return with_code(folder, mark)


def known_type(folder: Path, mark: Path, source: Path | None = None) -> Path:
    """Write a model of a type that transformers knows, which names code of its own as well."""
    shutil.copytree(source or embedded_path("tiny"), folder)
    change_json(folder / "config.json", auto_map=AUTO_MAP)
    return with_code(folder, mark)


def own_tokenizer(folder: Path, mark: Path, source: Path | None = None) -> Path:
    """Write a model with a tokenizer of its own."""
    shutil.copytree(source or embedded_path("tiny"), folder)
    auto_map = {"AutoTokenizer": AUTO_MAP["AutoTokenizer"]}
    change_json(folder / "tokenizer_config.json", auto_map=auto_map, tokenizer_class="MyTokenizer")
    return with_code(folder, mark)


def own_generate(folder: Path, mark: Path, source: Path | None = None) -> Path:
    """Write a model with a method of its own for transformers' ``generate``."""
    shutil.copytree(source or embedded_path("tiny"), folder)
    (folder / "custom_generate").mkdir()
    code = f"import pathlib\npathlib.Path({str(mark)!r}).write_text('ran')\ndef generate(): pass\n"
    (folder / "custom_generate" / "generate.py").write_text(code)
    return folder


def kernel(folder: Path, mark: Path, source: Path | None = None) -> Path:
    """Write a model that names code of the hub for its attention."""
    shutil.copytree(source or embedded_path("tiny"), folder)
    change_json(folder / "config.json", _attn_implementation_internal="someone/kernel@main")
    return folder


def adapter(folder: Path, mark: Path, source: Path | None = None) -> Path:
    """Write a model with an adapter, which would load another model."""
    shutil.copytree(source or embedded_path("tiny"), folder)
    change_json(folder / "adapter_config.json", base_model_name_or_path="someone/model")
    return folder


KINDS = (own_type, known_type, own_tokenizer, own_generate, kernel, adapter)
