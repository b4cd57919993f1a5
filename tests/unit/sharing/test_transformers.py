"""transformers gives robench's probabilities for a saved victim, or refuses it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from saved_victims import LABELS, victim
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    dynamic_module_utils,
    pipeline,
)

from robench._base.errors import RobenchError
from robench.models.smoother import Smoother
from robench.models.smoothing import Smoothing
from robench.models.victim import Victim
from robench.sharing import RobenchConfig, RobenchTokenizer

ONE, TWO = ("text",), ("premise", "text")
TEXTS = [
    ("film good noun1", "a bad film"),
    ("a bad noun2 noun3 film", "noun1 good"),
    ("", "noun5"),
    ("good bad " * 30, "film film film"),
]


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let transformers copy the code of a folder to a place of this test."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))


def texts(fields: Sequence[str]) -> list[dict[str, str]]:
    return [dict(zip(fields, pair[-len(fields) :], strict=True)) for pair in TEXTS]


def scores(answers: Any) -> NDArray[np.float64]:
    """Return the scores of a pipeline, in the order of ``LABELS``."""
    by_label = [{each["label"]: each["score"] for each in answer} for answer in answers]
    return np.array([[answer[label] for label in LABELS] for answer in by_label])


# The toy tokenizer gives the second text of a pair another type, and RoBERTa has only one type.
CASES = [
    (family, protocol, fields)
    for family in ("bert", "roberta", "distilbert", "electra", "deberta-v2")
    for protocol in ("rift2021", "subword")
    for fields in (ONE, TWO)
    if (family, protocol, fields) != ("roberta", "subword", TWO)
]


@pytest.mark.parametrize(("family", "protocol", "fields"), CASES)
def test_the_pipeline_and_the_auto_classes_give_robenchs_probabilities(
    family: str, protocol: str, fields: Sequence[str], tmp_path: Path
) -> None:
    made, folder = victim(family, protocol, fields), tmp_path / "v"
    made.save(folder)
    asked = texts(fields)
    expected = made.probs_of_texts(asked)
    classify = pipeline(
        "text-classification", model=str(folder), top_k=None, trust_remote_code=True, device="cpu"
    )
    inputs: list[Any] = [fields["text"] for fields in asked]
    if fields == TWO:
        inputs = [{"text": each["premise"], "text_pair": each["text"]} for each in asked]
    for rows in (1, 4):
        found = scores(classify(inputs, batch_size=rows))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    reader = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    columns = [[each[name] for each in asked] for name in fields]
    with torch.no_grad():
        logits = model(**reader(*columns, padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(logits.softmax(-1).numpy(), expected, atol=1e-6)
    assert model.config.id2label == dict(enumerate(LABELS))
    # The probabilities differ from text to text, so the comparison says something.
    assert np.ptp(expected, axis=0).max() > 1e-3


@pytest.mark.parametrize(
    "load",
    [
        AutoConfig.from_pretrained,
        AutoModelForSequenceClassification.from_pretrained,
        AutoTokenizer.from_pretrained,
        lambda folder: pipeline("text-classification", model=folder),
    ],
)
def test_transformers_refuses_a_victim_without_trust(load: Any, tmp_path: Path) -> None:
    victim().save(tmp_path / "v")
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        load(str(tmp_path / "v"))


def test_weights_without_a_head_never_get_a_random_one(tmp_path: Path) -> None:
    victim().save(tmp_path / "v")
    path = tmp_path / "v" / "model.safetensors"
    tensors = {name: each for name, each in load_file(path).items() if ".head." not in name}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(RobenchError, match="4 missing keys"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "v", trust_remote_code=True)


def test_what_transformers_saves_again_can_be_loaded_again(tmp_path: Path) -> None:
    made = victim()
    made.save(tmp_path / "v")
    trust = {"trust_remote_code": True}
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "v", **trust)
    reader = AutoTokenizer.from_pretrained(tmp_path / "v", **trust)
    model.save_pretrained(tmp_path / "again")
    reader.save_pretrained(tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").glob("*.py")] == ["modeling_robench.py"]
    classify = pipeline(
        "text-classification", model=str(tmp_path / "again"), top_k=None, device="cpu", **trust
    )
    expected = made.probs_of_texts([{"text": "good film"}])
    np.testing.assert_allclose(scores(classify(["good film"])), expected, atol=1e-6)


@pytest.mark.slow
def test_registered_classes_need_no_code_of_the_folder(tmp_path: Path) -> None:
    made = victim()
    made.save(tmp_path / "v")
    (tmp_path / "v" / "modeling_robench.py").write_text("raise SystemExit('this ran')")
    code = (
        "import robench, sys; from transformers import pipeline;"
        "robench.register_with_transformers(); robench.register_with_transformers();"
        "ask = pipeline('text-classification', model=sys.argv[1], top_k=None, device='cpu');"
        "print({each['label']: each['score'] for each in ask(['good film'])[0]})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "v")],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = eval(run.stdout)
    expected = made.probs_of_texts([{"text": "good film"}])[0]
    np.testing.assert_allclose([found[label] for label in LABELS], expected, atol=1e-6)


def reader_of(made: Victim, folder: Path) -> RobenchTokenizer:
    made.save(folder)
    return RobenchTokenizer.from_pretrained(folder)


def test_the_tokenizer_reads_fields_by_name_and_lists_of_pairs(tmp_path: Path) -> None:
    reader = reader_of(victim(fields=TWO, protocol="subword"), tmp_path)
    pair = reader("good film", "bad noun1")
    assert reader(premise="good film", text="bad noun1") == pair
    assert reader([("good film", "bad noun1")])["input_ids"] == [pair["input_ids"]]
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert reader.tokenize("good film", "bad noun1") == ["good", "film", "bad", "noun1"]
    assert len(reader) == len(reader.inner)


def test_the_tokenizer_pads_on_the_right_as_asked(tmp_path: Path) -> None:
    reader = reader_of(victim(), tmp_path)
    rows = reader(["good film", "bad"], padding=True, return_tensors="np")
    assert rows["input_ids"].tolist()[1][-1] == reader.pad_token_id
    assert rows["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert np.array(reader(["bad"], padding="max_length")["input_ids"]).shape == (1, 12)
    assert np.array(reader(["bad"], padding=True, pad_to_multiple_of=8)["input_ids"]).shape == (
        1,
        8,
    )
    parts = [reader("good film"), reader("bad")]
    assert (
        reader.pad(parts, return_tensors="np")["input_ids"].tolist() == rows["input_ids"].tolist()
    )
    assert reader("bad", return_token_type_ids=True)["token_type_ids"] == [0, 0, 0]
    assert "attention_mask" not in reader("bad", return_attention_mask=False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_length": 5}, "max_length=5 is shorter than the window of 12"),
        ({"truncation": False}, "has no option truncation=False"),
        ({"add_special_tokens": False}, "has no option add_special_tokens=False"),
        ({"is_split_into_words": True}, "has no option is_split_into_words=True"),
        ({"padding_side": "left"}, "has no option padding_side='left'"),
        ({"text_pair": "a second text"}, r"reads 1 texts \(text\)"),
    ],
)
def test_options_that_change_what_a_victim_reads_are_refused(
    options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    reader = reader_of(victim(), tmp_path)
    with pytest.raises(ValueError, match=sentence):
        reader("good film", **options)
    # These are usual, and change nothing.
    same = reader("good film", truncation=True, max_length=512, verbose=False)
    assert same == reader("good film")


@pytest.mark.parametrize("given", [("one",), (["one", "two"],), (None,)])
def test_a_pair_task_needs_both_texts(given: Any, tmp_path: Path) -> None:
    reader = reader_of(victim(fields=TWO), tmp_path)
    with pytest.raises(ValueError, match=r"reads 2 texts \(premise, text\)"):
        reader(*given)
    with pytest.raises(ValueError, match="different lengths"):
        reader(["one"], ["two", "three"])


def test_an_unknown_encoder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nosuch"):
        RobenchConfig(encoder={"model_type": "nosuch"}).encoder_config()


def test_transformers_says_that_it_leaves_the_random_variants_out(tmp_path: Path) -> None:
    plain = victim()
    drawn = Smoother(Smoothing("masking", 4, rate=0.5), plain.encoder_fields)
    made = Victim(plain.model, plain.tokenizer, plain.card, smoother=drawn)
    made.save(tmp_path / "v")
    with pytest.warns(UserWarning, match=r"randomised.*robench\.load_victim"):
        model = AutoModelForSequenceClassification.from_pretrained(
            tmp_path / "v", trust_remote_code=True
        )
    assert model.config.smoothing == drawn.smoothing.to_card()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = Victim.load(tmp_path / "v")
    assert loaded.smoothing == drawn.smoothing


def test_the_configuration_of_other_victims_says_nothing_of_it(tmp_path: Path) -> None:
    victim().save(tmp_path / "v")
    assert "smoothing" not in (tmp_path / "v" / "config.json").read_text(encoding="utf-8")
