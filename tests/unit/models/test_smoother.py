"""The distributions that variants are drawn from, and the answers made of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from text_cases import make_tokenizer
from victim_cases import BAD, CARD, GOOD, NEUTRAL, Synonyms, classifier, tokenizer

from robench._base.errors import RobenchError, UsageError
from robench._base.seals import with_seal
from robench.models.gradient_query import GradientQuery
from robench.models.hull_query import HullQuery
from robench.models.probabilities import softmax
from robench.models.smoothed import mean_logits, vote_logits
from robench.models.smoother import FILE, Smoother, dirichlet
from robench.models.smoothing import Smoothing
from robench.models.victim import Victim, build_reader
from robench.protocol import get_protocol
from robench.text.encoding import FieldEncoder
from robench.text.word_table import WordTable

RANDOM = {**CARD, "name": "random"}
SMOOTHINGS = {
    "masking": Smoothing("masking", 5, rate=0.5),
    "substitution": Smoothing("substitution", 5, neighbours=10),
    "hull": Smoothing("hull", 5, neighbours=10, concentration=1.0, decay=0.5),
    "votes": Smoothing("masking", 5, "votes", rate=0.5),
}
TEXTS = [
    {"text": "film good noun1 noun3 bad"},
    {"text": "a bad noun2 noun3 film"},
    {"text": "good"},
    {"text": ""},
    {"text": " ".join(["good"] * 40)},
]


def smoother(smoothing: Smoothing, **card: Any) -> Smoother:
    protocol = get_protocol("rift2021")
    values = {**RANDOM, **card}
    _, reader = build_reader(
        tokenizer(), protocol, values["fields"], values["attackable"], values["max_tokens"]
    )
    words = np.random.default_rng(1).normal(size=(60, 3))
    return Smoother.build(smoothing, reader, words, Synonyms(), protocol.lookup)


def victim(kind: str) -> Victim:
    return Victim(classifier(), tokenizer(), RANDOM, smoother=smoother(SMOOTHINGS[kind]))


def ids_of(*words: str) -> np.ndarray:
    numbers = tokenizer().get_vocab()
    row = ("[CLS]", *words, "[SEP]")
    return np.array([numbers.get(word, numbers["[UNK]"]) for word in row])


# -- distributions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "rate", "masked"),
    [(10, 0.3, 3), (10, 0.7, 7), (10, 0.95, 8), (3, 0.7, 1), (2, 0.7, 0), (1, 0.7, 0), (0, 0.7, 0)],
)
def test_masking_hides_the_share_and_keeps_two_words(words: int, rate: float, masked: int) -> None:
    made = smoother(Smoothing("masking", rate=rate))
    assert made.masked_words(words) == masked
    row = ids_of(*(f"noun{number}" for number in range(words)))
    drawn = made.draw(row, np.random.default_rng(0), 50).ids
    assert ((drawn == made.mask_id).sum(axis=1) == masked).all()
    # Nothing else changes.
    np.testing.assert_array_equal(np.where(drawn == made.mask_id, row, drawn), [row] * 50)


def test_masking_hides_every_set_of_words_equally_often() -> None:
    made = smoother(Smoothing("masking", rate=0.5))
    row = ids_of("noun0", "noun1", "noun2", "noun3")
    drawn = made.draw(row, np.random.default_rng(0), 6000).ids
    hidden = Counter(tuple(np.flatnonzero(one == made.mask_id)) for one in drawn)
    assert len(hidden) == 6
    assert min(hidden.values()) > 850
    assert max(hidden.values()) < 1150


def test_substitution_draws_every_member_equally_often_and_leaves_other_words() -> None:
    made = smoother(SMOOTHINGS["substitution"])
    numbers = tokenizer().get_vocab()
    row = ids_of("film", "good", "noun1")
    drawn = made.draw(row, np.random.default_rng(0), 4000).ids
    found = Counter(drawn[:, 2].tolist())
    known = {numbers[word] for word in GOOD if word in numbers}
    assert set(found) == known
    assert max(found.values()) - min(found.values()) < 250
    np.testing.assert_array_equal(np.delete(drawn, 2, axis=1), [np.delete(row, 2)] * 4000)


def test_the_context_of_a_pair_is_left_alone() -> None:
    for smoothing in (SMOOTHINGS["substitution"], SMOOTHINGS["masking"]):
        made = smoother(smoothing, fields=["premise", "hypothesis"], attackable="hypothesis")
        row = ids_of("good", "bad", "good", "[SEP]", "bad", "good", "bad", "good")
        drawn = made.draw(row, np.random.default_rng(0), 200).ids
        np.testing.assert_array_equal(drawn[:, :5], [row[:5]] * 200)
        changed = drawn[:, 5:-1] != row[5:-1]
        assert changed.any(axis=0).all()


def test_a_hull_has_the_dirichlet_weights_of_its_words() -> None:
    concentrations = np.array([[2.0, 2.0, 0.5, 9.0]])
    used = np.array([[True, True, True, False]])
    drawn = dirichlet(concentrations, used, np.random.default_rng(0), 20_000)[:, 0]
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-5)
    assert (drawn[:, 3] == 0).all()
    shares = np.array([2.0, 2.0, 0.5]) / 4.5
    np.testing.assert_allclose(drawn[:, :3].mean(axis=0), shares, atol=0.01)
    # Of Dirichlet(a): variance m (1 - m) / (sum of a + 1).
    np.testing.assert_allclose(drawn[:, :3].var(axis=0), shares * (1 - shares) / 5.5, atol=0.005)


def test_small_concentrations_give_corners_and_no_gaps() -> None:
    drawn = dirichlet(np.full((1, 5), 1e-3), np.ones((1, 5), bool), np.random.default_rng(0), 2000)
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn.sum(axis=-1), 1, atol=1e-5)
    assert (drawn.max(axis=-1) > 0.99).mean() > 0.9


def test_a_hull_mixes_words_with_neighbours_only() -> None:
    made = smoother(SMOOTHINGS["hull"])
    row = ids_of("film", "good", "noun1")
    drawn = made.draw(row, np.random.default_rng(0), 3)
    assert drawn.slots is not None
    assert drawn.weights is not None
    np.testing.assert_array_equal(drawn.ids, [row] * 3)
    assert (drawn.weights[:, [0, 1, 3, 4], 0] == 1).all()
    assert (drawn.weights[:, 2] > 0).any(axis=0).sum() == len(made.sets.set_of(row[2]))  # type: ignore[union-attr]
    np.testing.assert_allclose(drawn.weights.sum(axis=2), 1, atol=1e-5)


def test_masked_words_of_several_tokens_are_masked_as_a_whole(tmp_path: Path) -> None:
    table = WordTable(make_tokenizer("wordpiece", tmp_path), "subword")
    fields = FieldEncoder(table, ("text",), "text", 60, segments=True)
    words = ["wonderfully", "sleep", "xqzvw", "director", "guitarish"]
    row = fields.encode({"text": words}).ids
    made = Smoother(Smoothing("masking", rate=0.5), fields)
    numbers = made._words.number(row)
    assert len(row) > len(words) + 2
    for one in made.draw(row, np.random.default_rng(0), 20).ids:
        shares = [(one[numbers == number] == made.mask_id).mean() for number in range(len(words))]
        assert set(shares) <= {0.0, 1.0}
        assert sum(shares) == 2


def test_an_encoder_without_a_mask_token_is_refused() -> None:
    made = tokenizer()
    made.mask_token = None
    _, reader = build_reader(made, get_protocol("rift2021"), ["text"], "text", 12)
    with pytest.raises(UsageError, match="no mask token"):
        Smoother(SMOOTHINGS["masking"], reader)


# -- answers ---------------------------------------------------------------------------------------


def test_the_mean_of_probabilities_by_hand() -> None:
    answers = [np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]]) + 7, np.array([[-500.0, 500.0]])]
    found = softmax(mean_logits(np.asarray(one, dtype=np.float32) for one in answers))
    np.testing.assert_allclose(found, [[1.4 / 3, 1.6 / 3]], atol=1e-6)


def test_votes_by_hand() -> None:
    answers = [np.array([[3.0, 1.0], [0.0, 1.0]]), np.array([[2.0, 1.0], [5.0, 1.0]])]
    found = np.exp(vote_logits(np.asarray(one, dtype=np.float32) for one in answers))
    np.testing.assert_allclose(found, [[3 / 4, 1 / 4], [2 / 4, 2 / 4]], atol=1e-6)


@pytest.mark.parametrize("kind", SMOOTHINGS)
def test_a_smoothed_victim_answers_the_same_beside_any_texts(kind: str) -> None:
    made = victim(kind)
    probabilities = made.probs_of_texts(TEXTS)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities, made.probs_of_texts(TEXTS))
    alone = np.concatenate([made.probs_of_texts([text]) for text in TEXTS])
    np.testing.assert_array_equal(probabilities, alone)
    reordered = made.probs_of_texts(TEXTS[::-1])[::-1]
    np.testing.assert_array_equal(probabilities, reordered)


@pytest.mark.parametrize("kind", ["masking", "substitution", "hull"])
def test_the_answer_is_the_mean_over_the_variants(kind: str) -> None:
    made = victim(kind)
    row = made.read(TEXTS[0])
    each = softmax(made.drawn_logits(row, 5, seed=0))
    assert len(np.unique(each[:, 0])) > 1
    found = made.probs_of_texts([TEXTS[0]])[0]
    np.testing.assert_allclose(found, each.mean(axis=0), atol=1e-5)
    assert np.abs(found - made.unsmoothed.probs_of_texts([TEXTS[0]])[0]).max() > 1e-4


def test_padding_changes_nothing() -> None:
    made = victim("masking")
    row = ids_of("film", "good", "noun1", "bad")
    bare = made.logits(np.repeat(row[None], 8, axis=0), np.full(8, len(row)))
    wide = np.zeros((8, len(row) + 4), dtype=np.int64)
    wide[:, : len(row)] = row
    padded = made.logits(wide, np.full(8, len(row)))
    np.testing.assert_allclose(bare, padded, atol=1e-5)


def test_another_seed_draws_other_variants_and_fewer_are_the_first_of_more() -> None:
    made = victim("masking")
    row = made.read(TEXTS[0])
    many = made.drawn_logits(row, 300, seed=7)
    assert many.shape == (300, 2)
    np.testing.assert_array_equal(made.drawn_logits(row, 20, seed=7), many[:20])
    assert not np.array_equal(made.drawn_logits(row, 20, seed=8), many[:20])
    counts = made.vote_counts(row, 300, seed=7)
    assert counts.sum() == 300
    assert counts.tolist() == np.bincount(many.argmax(axis=1), minlength=2).tolist()


def test_a_plain_victim_draws_nothing() -> None:
    made = Victim(classifier(), tokenizer(), RANDOM)
    assert made.smoothing is None
    assert made.forwards_per_row == 1
    with pytest.raises(UsageError, match="not randomised"):
        made.vote_counts(made.read(TEXTS[0]), 5, seed=0)


def test_a_query_costs_one_forward_pass_for_each_variant() -> None:
    made, plain = victim("masking"), Victim(classifier(), tokenizer(), RANDOM)
    assert made.forwards_per_row == 5
    assert made.row_cost(TEXTS) == pytest.approx(5 * plain.row_cost(TEXTS))
    shapes: list[Any] = []
    made.model.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape))
    made.logits(np.tile(ids_of("good", "film"), (9, 1)), np.full(9, 4))
    # The memory does not grow with the number of variants.
    assert shapes == [(9, 4)] * 5


# -- storage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SMOOTHINGS)
def test_a_saved_victim_answers_as_before(kind: str, tmp_path: Path) -> None:
    made = victim(kind)
    made.save(tmp_path / "v")
    loaded = Victim.load(tmp_path / "v")
    assert loaded.smoothing == made.smoothing
    np.testing.assert_array_equal(loaded.probs_of_texts(TEXTS), made.probs_of_texts(TEXTS))
    card = json.loads((tmp_path / "v" / "victim.json").read_text(encoding="utf-8"))
    assert card["smoothing"] == SMOOTHINGS[kind].to_card()
    assert FILE in card["files"]


def test_the_hash_of_a_victim_covers_its_smoothing(tmp_path: Path) -> None:
    hashes = set()
    for number, smoothing in enumerate((None, *SMOOTHINGS.values())):
        drawn = None if smoothing is None else smoother(smoothing)
        made = Victim(classifier(), tokenizer(), RANDOM, smoother=drawn)
        made.save(tmp_path / str(number))
        hashes.add(made.sha256)
    assert len(hashes) == 5


@pytest.mark.parametrize("change", ["card", "file", "missing"])
def test_a_folder_whose_smoothing_was_changed_is_refused(change: str, tmp_path: Path) -> None:
    folder = tmp_path / "v"
    victim("masking").save(folder)
    card = json.loads((folder / "victim.json").read_text(encoding="utf-8"))
    if change == "card":
        card["smoothing"]["draws"] = 6
    elif change == "file":
        (folder / FILE).unlink()
    else:
        del card["smoothing"]
    (folder / "victim.json").write_text(json.dumps(with_seal(card)), encoding="utf-8")
    with pytest.raises(RobenchError, match="smoothing"):
        Victim.load(folder)


def test_the_words_of_the_tests_are_known() -> None:
    known = tokenizer().get_vocab()
    assert {*GOOD, *BAD, *NEUTRAL} <= set(known)


# -- gradients -------------------------------------------------------------------------------------


def hull_query(made: Victim, words: list[str], options: dict[int, list[str]]) -> HullQuery:
    ids = ids_of(*words).astype(np.int32)
    width = 1 + max(map(len, options.values()))
    slots = np.repeat(ids[:, None], width, axis=1)
    allowed = np.zeros(slots.shape, dtype=bool)
    allowed[:, 0] = True
    for position, others in options.items():
        tokens = ids_of(*others)[1:-1]
        slots[position, 1 : 1 + len(tokens)] = tokens
        allowed[position, 1 : 1 + len(tokens)] = True
    types = np.zeros(len(ids), dtype=np.int8)
    label = int(made.logits(np.tile(ids, (8, 1)), np.full(8, len(ids)))[0].argmax())
    return HullQuery(ids, types, slots, allowed, label, 4, 1.0, 3)


@pytest.mark.parametrize("kind", ["masking", "substitution", "hull"])
def test_the_worst_mixture_of_a_smoothed_victim(kind: str) -> None:
    made = victim(kind)
    query = hull_query(made, ["good", "film", "bad", "noun1"], {1: ["fine", "great"], 3: ["poor"]})
    weights = made.hull(query)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert (weights[~query.allowed] == 0).all()
    np.testing.assert_array_equal(weights, made.hull(query))
    # Positions without options stay as they are.
    assert weights[[0, 2, 4, 5], 0].tolist() == [1, 1, 1, 1]


def test_masking_almost_nothing_gives_the_gradients_of_the_classifier() -> None:
    made = Victim(
        classifier(), tokenizer(), RANDOM, smoother=smoother(Smoothing("masking", 3, rate=0.01))
    )
    query = hull_query(made, ["good", "film", "bad", "noun1"], {1: ["fine", "great"], 3: ["poor"]})
    np.testing.assert_allclose(made.hull(query), made.unsmoothed.hull(query), atol=1e-4)
    asked = GradientQuery(query.ids, query.types, query.label)
    np.testing.assert_allclose(
        made.gradient(asked), made.unsmoothed.gradient(asked), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["masking", "substitution", "hull"])
def test_the_gradient_is_that_of_the_answer(kind: str) -> None:
    made = victim(kind)
    ids = ids_of("good", "film", "bad", "noun1").astype(np.int32)
    asked = GradientQuery(ids, np.zeros(len(ids), dtype=np.int8), 1)
    gradient = made.gradient(asked)
    # Move the word vector of a word that is in no set, and in the text once.
    table, token, place = made.model.encoder.get_input_embeddings().weight, ids[4], 4
    step, moved = 1e-2, []
    for sign in (1, -1):
        with torch.no_grad():
            table[token, 0] += sign * step
            answer = made.logits(np.tile(ids, (8, 1)), np.full(8, len(ids)))[0]
            table[token, 0] -= sign * step
        moved.append(answer[1] - answer[0])
    slope = (moved[0] - moved[1]) / (2 * step)
    assert gradient[place, 0] == pytest.approx(slope, rel=0.05, abs=1e-3)


def test_redrawn_rows_hide_the_same_positions() -> None:
    made = smoother(SMOOTHINGS["masking"])
    text = ids_of("good", "film", "bad", "noun1")
    rows = np.stack([text, ids_of("fine", "film", "poor", "noun1")])
    drawn = made.redrawn(text, rows, np.random.default_rng(0), 30)
    hidden = drawn == made.mask_id
    assert (hidden[:, 0] == hidden[:, 1]).all()
    assert (hidden.sum(axis=2) == 2).all()
    np.testing.assert_array_equal(np.where(hidden, rows, drawn), [rows] * 30)


def test_redrawn_rows_draw_from_the_sets_of_their_own_words() -> None:
    made = smoother(SMOOTHINGS["substitution"])
    text = ids_of("good", "film")
    rows = np.stack([text, ids_of("bad", "film")])
    drawn = made.redrawn(text, rows, np.random.default_rng(0), 200)
    assert made.sets is not None
    for row, token in enumerate(rows[:, 1]):
        assert set(drawn[:, row, 1]) == set(made.sets.set_of(token).tolist())
    np.testing.assert_array_equal(drawn[:, :, 2], np.tile(rows[:, 2], (200, 1)))
