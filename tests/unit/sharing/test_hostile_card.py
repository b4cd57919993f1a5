"""Model cards of victims whose every text tries to break the page or its front matter."""

from __future__ import annotations

import ast
import importlib
from typing import Any

import pytest
from hostile import HOSTILE, TEXTS, controls
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from markdown_it import MarkdownIt
from records import make_record, sha

from robench.records.record import Record
from robench.sharing.model_card import model_card

EVERY = [pytest.param(text, id=name) for name, text in TEXTS.items()] + [
    pytest.param(HOSTILE, id="all")
]


def _card(text: str) -> dict[str, Any]:
    return {
        "name": f"name {text}",
        "task": f"task {text}",
        "labels": [f"a {text}", f"b {text}"],
        "attackable": f"text {text}",
        "fields": [f"text {text}"],
        "max_tokens": 64,
        "protocol": f"p {text}",
        "encoder": text,
        "seed": 0,
        "ingredients": {"options": {f"o {text}": text}, "train_pool": text},
        "train_examples": 24,
        "dev_examples": 4,
        "dev_accuracy": 0.5,
        "selected_epoch": 2,
        "smoothing": {"answer": "mean", "draws": 3, "kind": text},
        "versions": {"robench": text},
        "schema": 2,
        "sha256": sha("weights"),
        "files": {},
    }


def _records(text: str) -> list[Record]:
    text = text.replace("\ud800", "")
    return [
        make_record("WFHH", attack_label=f"a {text}", task={"name": f"t {text}"}),
        make_record("WFHE", attack_label=f"b {text}", task={"other_test": f"t {text}"}),
    ]


def _page(text: str) -> str:
    return model_card(_card(text), _records(text), "me/x", "mit")


def _parts(page: str) -> tuple[dict[str, Any], str]:
    """Return the front matter and the page below it, as the hub splits them."""
    found = REGEX_YAML_BLOCK.match(page)
    assert found is not None
    # The package has no annotations of its own.
    yaml: Any = importlib.import_module("yaml")
    return yaml.safe_load(found[2]), page[found.end() :]


def _blocks(page: str) -> list[str]:
    types = []
    for block in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page):
        inner = [each.type for each in block.children or ()]
        types += [f"{block.type} {block.tag}", *(t for t in inner if not t.startswith("text"))]
    return types


@pytest.mark.parametrize("text", EVERY)
def test_a_card_has_the_blocks_of_an_honest_one(text: str) -> None:
    front, page = _parts(_page(text))
    honest, expected = _parts(_page("honest"))
    assert front | {"tags": []} == honest | {"tags": []}
    assert len(front["tags"]) == 3
    assert _blocks(page) == _blocks(expected)
    assert not controls(_page(text))
    assert len(_page(text)) < 60_000
    _page(text).encode()


@pytest.mark.parametrize("text", EVERY)
def test_the_code_in_a_card_is_the_code_of_an_honest_one(text: str) -> None:
    _, page = _parts(_page(text))
    blocks = [t.content for t in MarkdownIt("commonmark").parse(page) if t.type == "fence"]
    honest = [
        t.content
        for t in MarkdownIt("commonmark").parse(_parts(_page("honest"))[1])
        if t.type == "fence"
    ]
    assert len(blocks) == len(honest) == 2
    for block, expected in zip(blocks, honest, strict=True):
        shapes = [[type(node) for node in ast.walk(ast.parse(code))] for code in (block, expected)]
        assert shapes[0] == shapes[1]
