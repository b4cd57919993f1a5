"""Classifiers of plain transformers for tests of given victims."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

import robench
from robench import TASKS, DataSource, Example, Splits

TINY = Path(robench.__file__).parent / "embedded" / "tiny"


@cache
def reviews() -> Splits:
    """Return the splits of the embedded task."""
    return TASKS.get("mini-reviews")().load(DataSource())


def fine_tune(folder: Path) -> Path:
    """Fine-tune the embedded encoder with plain transformers, and return its folder.

    It takes about two seconds. The labels are ``negative`` and ``positive``.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TINY, trust_remote_code=False)
    names = {0: "negative", 1: "positive"}
    model = AutoModelForSequenceClassification.from_pretrained(
        TINY,
        num_labels=2,
        id2label=names,
        label2id={name: at for at, name in names.items()},
        trust_remote_code=False,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    examples = reviews().train[:480]
    for start in range(0, len(examples), 32):
        batch = examples[start : start + 32]
        texts = tokenizer(
            [each.fields["text"] for each in batch],
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        loss = model(**texts, labels=torch.tensor([each.label for each in batch])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def turned(source: Path, folder: Path, names: Mapping[int, str]) -> Path:
    """Copy a classifier, turn the order of its two logits, and give the labels other names."""
    from transformers import AutoModelForSequenceClassification

    shutil.copytree(source, folder)
    model = AutoModelForSequenceClassification.from_pretrained(source, trust_remote_code=False)
    with torch.no_grad():
        for parameter in (model.classifier.weight, model.classifier.bias):
            parameter.copy_(parameter.flip(0))
    model.config.id2label = dict(names)
    model.config.label2id = {name: at for at, name in names.items()}
    model.save_pretrained(folder)
    return folder


def with_config(source: Path, folder: Path, **changes: Any) -> Path:
    """Copy a classifier and change its configuration."""
    shutil.copytree(source, folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def plain_predictions(folder: Path, examples: Sequence[Example]) -> list[int]:
    """Return the number of the likeliest logit of each text, by plain transformers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False
    ).eval()
    found = []
    with torch.inference_mode():
        for each in examples:
            text = tokenizer(each.fields["text"], truncation=True, return_tensors="pt")
            found.append(int(model(**text).logits.argmax(-1)))
    return found
