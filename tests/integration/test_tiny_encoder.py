"""The embedded ``tiny`` encoder as it is shipped.

It loads, it is small, it knows the language of film reviews, and its card describes it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

import robench

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.pretraining.card import LICENCE, model_card
from scripts.pretraining.text import CONTRACTIONS, treebank_words

TINY = Path(robench.__file__).parent / "embedded" / "tiny"
SENTENCES = (
    "This is one of the worst movies I have ever seen in my life.",
    "The acting was terrible and the plot made no sense at all.",
    "I really enjoyed this film and I would recommend it to anyone.",
    "It's a waste of time and money, so don't bother watching it.",
    "The special effects are good, but the story is weak and the characters are boring.",
    "She gives a great performance as the main character.",
    "If you like horror movies, you should see this one.",
    "The director did a very good job with this movie.",
    "I couldn't wait for it to end.",
    "There are a lot of funny scenes and the music is beautiful.",
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(TINY, trust_remote_code=False)


@pytest.fixture(scope="module")
def language_model() -> Any:
    return AutoModelForMaskedLM.from_pretrained(TINY, trust_remote_code=False).eval()


@pytest.fixture(scope="module")
def training() -> Any:
    return json.loads((TINY / "training.json").read_text(encoding="utf-8"))


def predictions(model: Any, ids: list[int], mask: int) -> list[int]:
    """Return the model's best guess for every token but the first and last, each masked in turn."""
    rows = torch.tensor(ids).repeat(len(ids) - 2, 1)
    at = torch.arange(len(ids) - 2)
    rows[at, at + 1] = mask
    with torch.no_grad():
        found: list[int] = model(input_ids=rows).logits[at, at + 1].argmax(-1).tolist()
    return found


def test_only_the_expected_files_are_shipped_and_they_are_small() -> None:
    names = {file.name for file in TINY.iterdir()}
    assert names == {
        "LICENSE",
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
        "vocab.txt",
    }
    assert (TINY / "model.safetensors").stat().st_size <= 10e6


def test_the_encoder_loads_with_its_trained_pooler() -> None:
    model, info = AutoModel.from_pretrained(TINY, output_loading_info=True, trust_remote_code=False)
    assert not info["missing_keys"]
    assert model.dtype == torch.float32
    with torch.no_grad():
        output = model(input_ids=torch.tensor([[2, 100, 3]]))
    assert output.pooler_output.shape == (1, model.config.hidden_size)
    assert model(input_ids=torch.full((1, 512), 100)).last_hidden_state.isfinite().all()


def test_the_masked_language_model_loads_with_tied_output(language_model: Any) -> None:
    _, info = AutoModelForMaskedLM.from_pretrained(
        TINY, output_loading_info=True, trust_remote_code=False
    )
    assert not info["missing_keys"]
    output = language_model.get_output_embeddings().weight
    assert output.data_ptr() == language_model.get_input_embeddings().weight.data_ptr()


def test_the_vocabulary_is_the_tokenizers_and_holds_contractions(
    tokenizer: Any, language_model: Any
) -> None:
    entries = (TINY / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert len(entries) == len(tokenizer) == language_model.config.vocab_size
    assert entries == tokenizer.convert_ids_to_tokens(list(range(len(entries))))
    assert set(CONTRACTIONS) <= set(entries)
    assert not set(tokenizer.tokenize("It isn't so.")) & set(CONTRACTIONS)
    assert tokenizer("a film", "a book")["token_type_ids"][-1] == 1


def test_masked_pieces_of_film_sentences_are_found(tokenizer: Any, language_model: Any) -> None:
    ids = [tokenizer(sentence)["input_ids"] for sentence in SENTENCES]
    check(ids, language_model, tokenizer)


def test_masked_words_are_found_with_one_token_a_word(tokenizer: Any, language_model: Any) -> None:
    entries = tokenizer.get_vocab()
    words = []
    for sentence in SENTENCES:
        row = [entries.get(word, tokenizer.unk_token_id) for word in treebank_words(sentence)]
        words.append(row)
    assert all(tokenizer.unk_token_id not in row for row in words)
    check(
        [[tokenizer.cls_token_id, *row, tokenizer.sep_token_id] for row in words],
        language_model,
        tokenizer,
    )


def check(ids: list[list[int]], language_model: Any, tokenizer: Any) -> None:
    """Check the accuracy over all words of all sentences against the best constant answer.

    The sentences are common phrases, so they are far easier than the held-out reviews.
    """
    wanted: list[int] = []
    found: list[int] = []
    for row in ids:
        wanted += row[1:-1]
        found += predictions(language_model, row, tokenizer.mask_token_id)
    accuracy = sum(a == b for a, b in zip(wanted, found, strict=True)) / len(wanted)
    best_constant = max(wanted.count(token) for token in set(wanted)) / len(wanted)
    assert accuracy >= 2 * best_constant
    assert accuracy >= 0.4


def test_the_model_card_agrees_with_training_json(training: Any, tokenizer: Any) -> None:
    card = (TINY / "README.md").read_text(encoding="utf-8")
    assert card == model_card(training)
    assert f"{training['run']['steps']:,} steps" in card
    for form in ("pieces", "words"):
        shown = re.search(rf"\| {form} \| ([\d.]+) %", card)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(
            100 * training["held_out"][form]["accuracy"], abs=0.01
        )
        assert training["held_out"][form]["accuracy"] > 3 * training["unigram_guess"][form]
    assert training["model"]["bytes"] == (TINY / "model.safetensors").stat().st_size
    assert training["model"]["vocabulary"] == len(tokenizer)
    assert "non-commercial" in card
    assert (TINY / "LICENSE").read_text(encoding="utf-8") == LICENCE
    assert "/tmp" not in card


def test_the_training_loss_fell(training: Any) -> None:
    history = training["history"]
    assert history[-1]["loss"] < history[0]["loss"] - 1
    assert history[-1]["accuracy_pieces"] > 2 * history[0]["accuracy_pieces"]
