"""``robench.load_victim``: predictions with label names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_victims import LABELS, save_as_schema_1, victim

import robench
from robench import RobenchError, UsageError


def load(folder: Path, fields: Sequence[str] = ("text",)) -> robench.LoadedVictim:
    victim(fields=fields).save(folder)
    return robench.load_victim(folder, "cpu")


def test_one_text_gives_one_prediction_and_a_list_gives_a_list(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    one = loaded.predict("a good film")
    assert isinstance(one, robench.Prediction)
    assert loaded.predict(["a good film", "bad"])[0] == one
    assert loaded.predict({"text": "a good film"}) == one
    assert loaded.predict([]) == []
    row = victim().probs_of_texts([{"text": "a good film"}])[0]
    assert one.label == LABELS[row.argmax()]
    assert one.probability == row.max()
    assert tuple(one.probabilities) == LABELS == loaded.labels
    np.testing.assert_array_equal(loaded.probabilities("a good film"), row[None])
    assert loaded.probabilities([]).shape == (0, 3)


def test_a_pair_is_a_tuple_or_a_dict(tmp_path: Path) -> None:
    loaded = load(tmp_path, ("premise", "text"))
    pair = loaded.predict(("a good film", "bad"))
    assert pair == loaded.predict({"premise": "a good film", "text": "bad"})
    assert loaded.predict([("a good film", "bad")] * 2) == [pair, pair]
    assert pair != loaded.predict(("bad", "a good film"))


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (("one", "two", "three"), r"has 2 fields .premise, text., but 3 came"),
        ("one", "but 1 came"),
        ({"premise": "x"}, "has the fields premise, text, but these came: premise"),
        ([("one", 2)], "Field 'text' must be a string, but it is int"),
        ([None], "but 1 came"),
    ],
)
def test_texts_of_another_form_are_refused(texts: Any, sentence: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, ("premise", "text"))
    with pytest.raises(UsageError, match=sentence):
        loaded.predict(texts)


def test_the_handle_says_what_it_is(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert (loaded.name, loaded.task, loaded.fields) == ("standard", "planted", ("text",))
    assert loaded.card["protocol"] == "rift2021"
    assert repr(loaded) == (
        "<standard on planted: negative, positive, odd; fields text; device cpu>"
    )


def test_a_victim_of_an_older_robench_answers_too(tmp_path: Path) -> None:
    save_as_schema_1(victim(), tmp_path / "old")
    old = robench.load_victim(str(tmp_path / "old"), "cpu")
    expected = victim().probs_of_texts([{"text": "good"}])
    np.testing.assert_array_equal(old.probabilities("good"), expected)


def test_loading_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    victim().save(tmp_path)
    capfd.readouterr()
    robench.load_victim(tmp_path, "cpu").predict("good")
    assert capfd.readouterr() == ("", "")


def test_what_is_no_victim_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no folder '\./nowhere'"):
        robench.load_victim("./nowhere", "cpu")
    with pytest.raises(UsageError, match=r"config\.json"):
        robench.load_victim(tmp_path, "cpu")
    with pytest.raises(UsageError, match="evice"):
        robench.load_victim(tmp_path, "no-device")
    victim().save(tmp_path / "v")
    (tmp_path / "v" / "config.json").unlink()
    with pytest.raises(RobenchError, match=r"lost its file 'config\.json'.*train it again"):
        robench.load_victim(tmp_path / "v", "cpu")


def test_a_model_that_robench_did_not_train_has_its_own_labels(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification
    from victim_cases import tokenizer

    made = tokenizer()
    config = BertConfig(
        vocab_size=len(made),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
        id2label={0: "POSITIVE", 1: "NEGATIVE"},
        label2id={"POSITIVE": 0, "NEGATIVE": 1},
    )
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    made.save_pretrained(tmp_path)
    loaded = robench.load_victim(tmp_path, "cpu")
    assert loaded.labels == ("POSITIVE", "NEGATIVE")
    assert loaded.card == {}
    expected = model(**made(["a good film"], return_tensors="pt")).logits.softmax(-1)
    np.testing.assert_allclose(
        loaded.probabilities("a good film"), expected.detach().numpy(), atol=1e-5
    )
