from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from victim_cases import CARD, classifier, tokenizer

from robench._base.errors import RobenchError
from robench._base.seals import with_seal
from robench.models.probabilities import softmax
from robench.models.victim import Victim

TEXTS = [
    {"text": "film good noun1"},
    {"text": "a bad noun2 noun3 film"},
    {"text": "strange"},
    {"text": ""},
    {"text": " ".join(["good"] * 40)},
]


def make(**card: Any) -> Victim:
    return Victim(classifier(), tokenizer(), {**CARD, **card})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make().save(tmp_path / "v")
    return tmp_path / "v"


def test_probabilities_of_texts_do_not_depend_on_the_other_texts() -> None:
    victim = make()
    probabilities = victim.probs_of_texts(TEXTS)
    assert probabilities.shape == (5, 2)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-6)
    alone = np.concatenate([victim.probs_of_texts([text]) for text in TEXTS])
    # A verdict does not depend on the texts judged with it.
    np.testing.assert_array_equal(probabilities, alone)
    np.testing.assert_array_equal(
        victim.probs_of_texts([*TEXTS * 9, TEXTS[0]])[-6:-1], probabilities
    )
    assert victim.predict(TEXTS).tolist() == probabilities.argmax(-1).tolist()
    assert victim.probs_of_texts([]).shape == (0, 2)


def test_a_verdict_has_exactly_the_logits_of_the_search() -> None:
    """With one token per word, text and words give the same rows in the same shapes.

    So no success is lost to rounding.
    """
    victim = make()
    row = victim.encoder_fields.encode({"text": ["film", "good", "noun1"]})
    searched = victim.logits(
        np.repeat(np.asarray(row.ids)[None], 8, axis=0), np.full(8, len(row.ids))
    )[:1]
    np.testing.assert_array_equal(
        softmax(searched), victim.probs_of_texts([{"text": "film good noun1"}])
    )


def test_logits_of_ids_agree_with_probabilities_of_texts() -> None:
    victim = make()
    row = victim.encoder_fields.encode({"text": ["film", "good", "noun1"]})
    ids = np.full((2, 9), victim.table.pad_id, dtype=np.int32)
    ids[:, : len(row.ids)] = row.ids
    logits = victim.logits(ids, np.array([len(row.ids)] * 2))
    assert logits.dtype == np.float32
    np.testing.assert_allclose(softmax(logits), victim.probs_of_texts([TEXTS[0]] * 2), atol=1e-5)


def test_tokens_beyond_a_rows_length_are_ignored() -> None:
    victim = make()
    ids = np.array([[2, 6, 7, 3, 9, 9]], dtype=np.int32)
    np.testing.assert_allclose(
        victim.logits(ids, np.array([4])), victim.logits(ids[:, :4], np.array([4])), atol=1e-5
    )
    assert not np.allclose(victim.logits(ids, np.array([6])), victim.logits(ids, np.array([4])))


def test_a_victim_returns_to_eval_mode_after_training() -> None:
    victim = Victim(classifier(dropout=0.5), tokenizer(), CARD)
    victim.model.train()
    np.testing.assert_array_equal(victim.probs_of_texts(TEXTS), victim.probs_of_texts(TEXTS))


def test_token_types_are_used_only_if_the_protocol_has_them() -> None:
    ids, types = np.array([[2, 6, 3, 7, 3]], dtype=np.int32), np.array([0, 0, 0, 1, 1])
    plain = make(fields=["premise", "text"])
    segments = make(fields=["premise", "text"], protocol="subword")
    lengths = np.array([5])
    np.testing.assert_array_equal(plain.logits(ids, lengths, types), plain.logits(ids, lengths))
    assert not np.allclose(segments.logits(ids, lengths, types), segments.logits(ids, lengths))


def test_bf16_changes_logits_but_not_verdicts() -> None:
    victim = make()
    exact = victim.logits(np.array([[2, 6, 7, 3]]), np.array([4]))
    verdict = victim.probs_of_texts(TEXTS)
    rough = victim.logits(np.array([[2, 6, 7, 3]]), np.array([4]), precision="bf16")
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(exact, rough, atol=0.5, rtol=0.1)
    np.testing.assert_array_equal(verdict, victim.probs_of_texts(TEXTS))


def test_a_loaded_victim_equals_the_saved_one_without_network(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("loading a victim used the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    first, loaded = make(), Victim.load(saved)
    np.testing.assert_array_equal(first.probs_of_texts(TEXTS), loaded.probs_of_texts(TEXTS))
    assert loaded.sha256
    assert loaded.labels == ("negative", "positive")
    assert {path.name for path in saved.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "modeling_robench.py",
        "tokenizer",
        "tokenizer_config.json",
        "victim.json",
    }


def test_the_hash_depends_on_the_weights_only(tmp_path: Path) -> None:
    one, same = make(), make(name="another name")
    other = Victim(classifier(seed=3), tokenizer(), CARD)
    for index, victim in enumerate((one, same, other)):
        victim.save(tmp_path / str(index))
    assert one.sha256 == same.sha256 != other.sha256


def test_saved_files_name_no_folder_of_this_machine(saved: Path) -> None:
    for name in ("victim.json", "config.json", "tokenizer/tokenizer_config.json"):
        assert str(saved.parent) not in (saved / name).read_text()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def rehash(folder: Path, name: str) -> None:
    """Write the damaged file's hash into the card."""
    import hashlib

    card = json.loads((folder / "victim.json").read_text())
    card["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "victim.json").write_text(json.dumps(with_seal(card)))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("model.safetensors", False),
        ("tokenizer/tokenizer.json", False),
        ("config.json", False),
        ("tokenizer/tokenizer.json", True),
        ("config.json", True),
    ],
)
def test_a_truncated_file_is_named_in_the_error(saved: Path, name: str, known: bool) -> None:
    truncate(saved / name)
    if known:
        rehash(saved, name)
    with pytest.raises(RobenchError, match="Delete that folder") as caught:
        Victim.load(saved)
    assert (str(saved) if known else name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_one_flipped_bit_is_detected(saved: Path) -> None:
    data = bytearray((saved / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (saved / "model.safetensors").write_bytes(data)
    with pytest.raises(RobenchError, match=r"model\.safetensors.*damaged"):
        Victim.load(saved)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "damaged"),
        ("[]", "damaged|schema"),
        ("{}", "schema None"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": true}', "schema True"),
        ("[" * 100_000, "more than 64 deep"),
        ('{"schema": ' + "1" * 4000 + "}", "a number of 4,000 digits"),
        ('{"schema": 1, "schema": 2}', "the key 'schema' twice"),
        ('{"schema": 1, "name": "x"}', "lacks attackable, fields"),
    ],
)
def test_a_bad_card_is_named_in_the_error(saved: Path, content: str, sentence: str) -> None:
    (saved / "victim.json").write_text(content)
    with pytest.raises(RobenchError, match=sentence) as caught:
        Victim.load(saved)
    assert "victim.json" in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_refused(saved: Path, tmp_path: Path) -> None:
    (saved / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(RobenchError, match=r"lost its file 'tokenizer/tokenizer\.json'"):
        Victim.load(saved)
    with pytest.raises(
        RobenchError,
        match=r"' holds no victim: there is no 'victim\.json'\. "
        r"Delete that folder, or use --retrain\.$",
    ):
        Victim.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(RobenchError, match="could not be written"):
        make().save(blocked / "v")
    assert os.path.isfile(blocked)  # noqa: PTH113


def test_row_cost_is_parameters_times_mean_tokens() -> None:
    victim = make()
    embeddings = sum(
        parameter.numel() for parameter in victim.model.encoder.embeddings.parameters()
    )
    everything = sum(parameter.numel() for parameter in victim.model.parameters())
    assert victim.row_cost([{"text": "a b c"}, {"text": "a b c d e"}]) == 4 * (
        everything - embeddings
    )
    assert victim.row_cost([{"text": "a " * 10_000}]) == victim.encoder_fields.max_tokens * (
        everything - embeddings
    )
    assert victim.row_cost([]) == victim.row_cost([{"text": ""}]) == everything - embeddings
    assert victim.parameter_bytes == 4 * everything
