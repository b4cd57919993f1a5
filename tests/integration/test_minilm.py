"""The real encoder minilm, where ``robench fetch minilm`` has put its files on this machine."""

from __future__ import annotations

import pytest
from safetensors import safe_open

from robench._base.errors import UsageError
from robench.models.encoder_fetching import is_published
from robench.models.encoders import find_encoder, fingerprint, load_encoder, load_tokenizer
from robench.models.fetched_encoders import FETCHED
from robench.text.language_model import load_masked

MINILM = FETCHED["minilm"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MINILM.missing()), reason="its files are not here: run 'robench fetch minilm'"
    ),
]


def test_the_files_are_the_published_ones() -> None:
    assert all(is_published(MINILM.folder / file.name, file) for file in MINILM.files)
    assert fingerprint(find_encoder("minilm")) == MINILM.sha256


def test_it_has_the_declared_size_and_the_words_of_bert() -> None:
    info = find_encoder("minilm")
    encoder, tokenizer = load_encoder(info), load_tokenizer(info)
    config = encoder.config
    assert (config.num_hidden_layers, config.hidden_size) == (6, 384)
    assert len(tokenizer) == config.vocab_size == 30_522
    assert tokenizer.tokenize("an unwatchable film") == ["an", "un", "##watch", "##able", "film"]
    # Its pooler is part of the files, so nothing of it is random.
    with safe_open(MINILM.folder / "model.safetensors", "pt") as file:
        stored = file.get_tensor("pooler.dense.weight")
    assert encoder.pooler.dense.weight.equal(stored)


def test_its_files_hold_no_language_model_head() -> None:
    """The declaration says so, and the place where a head is needed sees it in the files, too."""
    assert not MINILM.masked_head
    with pytest.raises(UsageError, match="is no masked language model: its files hold no head"):
        load_masked(str(MINILM.folder))
