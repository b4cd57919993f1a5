"""Scorers of masked and causal models, on tiny models with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from text_cases import make_tokenizer, tiny_model, whole_word_tokenizer

from robench._base.errors import UsageError
from robench.text.language_model import build_scorer
from robench.text.scorer import Scorer, ScoringRequest, fingerprint, ratios
from robench.text.torch_scorers import CausalScorer, MaskedScorer, _ModelRow

TEXT = "the film was good but the plot is thin , the acting wonderful and the end bad"
WORDS = tuple(TEXT.split())
REQUESTS = [
    ScoringRequest(WORDS, 3, ("bad", "wonderful", "zzz中", "thin")),
    ScoringRequest(WORDS, 0, ("a", "one")),
    ScoringRequest(WORDS, len(WORDS) - 1, ("good", "well-known")),
    ScoringRequest(("good",), 0, ("bad",)),
    ScoringRequest(WORDS, 8, ()),
]


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer("wordpiece", tmp_path_factory.mktemp("wordpiece"))


@pytest.fixture(scope="module")
def bytelevel(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer("bytelevel", tmp_path_factory.mktemp("bytelevel"))


# Reference: one forward pass for each word, over the whole vocabulary, without batches


def naive_masked(
    model: Any, tokenizer: Any, request: ScoringRequest, word: str, radius: int = 6
) -> float:
    before = request.words[max(0, request.position - radius) : request.position]
    after = request.words[request.position + 1 : request.position + 1 + radius]
    pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
    if tokenizer.unk_token_id in pieces:
        return -np.inf
    ids = tokenizer(
        " ".join([*before, *[tokenizer.mask_token] * len(pieces), *after]), return_tensors="pt"
    )["input_ids"]
    with torch.inference_mode():
        logs = torch.log_softmax(model(input_ids=ids).logits[0].double(), -1)
    places = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()
    return float(sum(logs[place, piece] for place, piece in zip(places, pieces, strict=True)))


def naive_causal(
    model: Any, tokenizer: Any, request: ScoringRequest, word: str, radius: int = 6
) -> float:
    words = [*request.words[: request.position], word, *request.words[request.position + 1 :]]
    begin, end = max(0, request.position - radius), request.position + 1 + radius
    text = (" " if begin else "") + " ".join(words[begin:end])
    ids = torch.tensor(
        [[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]]
    )
    with torch.inference_mode():
        logs = torch.log_softmax(model(input_ids=ids).logits[0].double(), -1)
    return float(sum(logs[place, ids[0, place + 1]] for place in range(ids.shape[1] - 1)))


def expected(naive: Any, model: Any, tokenizer: Any, request: ScoringRequest) -> Any:
    original = naive(model, tokenizer, request, request.words[request.position])
    return ratios(
        original, np.array([naive(model, tokenizer, request, word) for word in request.substitutes])
    )


@pytest.mark.parametrize("kind", ["bert", "distilbert", "albert", "electra"])
def test_masked_scores_equal_one_forward_a_word(kind: str, wordpiece: Any) -> None:
    model = tiny_model(kind, len(wordpiece), wordpiece)
    found = MaskedScorer(model, wordpiece).log_ratios(REQUESTS)
    for request, got in zip(REQUESTS, found, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(
            got, expected(naive_masked, model, wordpiece, request), atol=2e-4
        )


@pytest.mark.parametrize("kind", ["roberta", "deberta"])
def test_masked_scores_with_byte_pieces_equal_one_forward_a_word(kind: str, bytelevel: Any) -> None:
    model = tiny_model(kind, len(bytelevel), bytelevel)
    scorer = MaskedScorer(model, bytelevel)
    left = bytelevel(" ".join(WORDS[:3]))["input_ids"][:-1]
    right = bytelevel(" " + " ".join(WORDS[4:10]), add_special_tokens=False)["input_ids"]
    found = scorer.log_ratios([ScoringRequest(WORDS, 3, ("bad", "thin"))])[0]

    def score(word: str) -> float:
        pieces = bytelevel(" " + word, add_special_tokens=False)["input_ids"]
        ids = torch.tensor(
            [[*left, *[bytelevel.mask_token_id] * len(pieces), *right, bytelevel.sep_token_id]]
        )
        with torch.inference_mode():
            logs = torch.log_softmax(model(input_ids=ids).logits[0].double(), -1)
        return float(sum(logs[len(left) + place, piece] for place, piece in enumerate(pieces)))

    np.testing.assert_allclose(
        found, [score("bad") - score("good"), score("thin") - score("good")], atol=2e-4
    )


def test_causal_scores_equal_those_of_the_whole_window(bytelevel: Any) -> None:
    model = tiny_model("gpt2", len(bytelevel), bytelevel)
    found = CausalScorer(model, bytelevel).log_ratios(REQUESTS)
    for request, got in zip(REQUESTS, found, strict=True):
        np.testing.assert_allclose(
            got, expected(naive_causal, model, bytelevel, request), atol=2e-4
        )


def test_batches_do_not_change_the_scores(wordpiece: Any) -> None:
    scorer = MaskedScorer(tiny_model("bert", len(wordpiece), wordpiece), wordpiece)
    together = scorer.log_ratios(REQUESTS * 5)
    scorer.batch_size = 1
    for got, alone in zip(
        together, [scorer.log_ratios([request])[0] for request in REQUESTS * 5], strict=True
    ):
        np.testing.assert_allclose(got, alone, atol=1e-4)


def collected(scorer: MaskedScorer, logits: torch.Tensor, pieces: list[int]) -> Any:
    """Return the scores of words of one piece each, which share one place."""
    scores = [np.zeros(len(pieces))]
    wanted = tuple((number, (piece,)) for number, piece in enumerate(pieces))
    scorer._collect([(0, _ModelRow((), (0,), wanted))], logits, scores)
    return scores[0]


def test_the_normaliser_of_words_of_one_place_cancels_exactly(wordpiece: Any) -> None:
    scorer = MaskedScorer(tiny_model("bert", len(wordpiece), wordpiece), wordpiece)
    logits = 5 * torch.randn((1, 20_000), generator=torch.Generator().manual_seed(0))
    pieces = list(range(0, 20_000, 7))
    found = collected(scorer, logits, pieces)
    exact = logits[0, pieces].double().numpy()
    np.testing.assert_allclose(found - found[0], exact - exact[0], rtol=0, atol=1e-12)
    whole = torch.log_softmax(logits.double(), -1)[0, pieces].numpy()
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)


def test_a_piece_that_the_model_forbids_is_impossible(wordpiece: Any) -> None:
    scorer = MaskedScorer(tiny_model("bert", len(wordpiece), wordpiece), wordpiece)
    logits = torch.tensor([[1.0, -torch.inf, 2.0, 0.5]])
    assert collected(scorer, logits, [1]).tolist() == [-np.inf]
    found = collected(scorer, logits, [1, 0, 3])
    assert found[0] == -np.inf
    assert found[1] - found[2] == pytest.approx(0.5, abs=1e-12)


def test_words_beyond_the_radius_do_not_count(wordpiece: Any) -> None:
    scorer = MaskedScorer(tiny_model("bert", len(wordpiece), wordpiece), wordpiece, radius=2)
    near = ScoringRequest(("x", "the", "film", "good", "is", "thin", "y"), 3, ("bad",))
    far = ScoringRequest(("acting", "the", "film", "good", "is", "thin", "end"), 3, ("bad",))
    closer = ScoringRequest(("x", "the", "plot", "good", "is", "thin", "y"), 3, ("bad",))
    scores = [found[0] for found in scorer.log_ratios([near, far, closer])]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[0] != pytest.approx(scores[2], abs=1e-6)


def test_empty_requests_give_empty_answers(wordpiece: Any) -> None:
    scorer = MaskedScorer(tiny_model("bert", len(wordpiece), wordpiece), wordpiece)
    assert scorer.log_ratios([]) == []
    assert [len(found) for found in scorer.log_ratios([ScoringRequest(WORDS, 1, ())])] == [0]


def test_the_model_still_gives_all_logits_afterwards(wordpiece: Any) -> None:
    model = tiny_model("bert", len(wordpiece), wordpiece)
    scorer = MaskedScorer(model, wordpiece)
    scorer.log_ratios(REQUESTS)
    assert model(input_ids=torch.tensor([[2, 5, 3]])).logits.shape == (1, 3, len(wordpiece))


# What a model cannot express


@pytest.mark.parametrize(
    ("original", "substitutes", "allowed"),
    [
        (-3.0, [-8.0, -8.001, -1.0, -np.inf], [True, False, True, False]),
        # If both are impossible, the release has NaN and rejects the substitute.
        (-np.inf, [-8.0, -np.inf], [True, False]),
    ],
)
def test_infinite_log_probabilities_are_treated_as_in_the_release(
    original: float, substitutes: list[float], allowed: list[bool]
) -> None:
    found = ratios(original, np.array(substitutes))
    assert not np.isnan(found).any()
    assert (found >= -5).tolist() == allowed


def test_unknown_words_are_impossible(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["good", "bad", "film", "a"])
    scorer = MaskedScorer(tiny_model("bert", len(tokenizer), tokenizer), tokenizer)
    known, unknown = scorer.log_ratios(
        [
            ScoringRequest(("good", "film"), 0, ("bad", "sublime")),
            ScoringRequest(("sublime", "film"), 0, ("bad", "divine")),
        ]
    )
    assert np.isfinite(known[0])
    assert known[1] == -np.inf
    assert unknown.tolist() == [np.inf, -np.inf]


# Identity and loading


def test_the_identity_depends_on_weights_and_precision(wordpiece: Any) -> None:
    model = tiny_model("bert", len(wordpiece), wordpiece)
    before = MaskedScorer(model, wordpiece).identity
    assert before == MaskedScorer(model, wordpiece).identity
    assert before != MaskedScorer(model, wordpiece, precision="bf16").identity
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1
    assert before != MaskedScorer(model, wordpiece).identity


def test_the_identity_is_the_same_from_disk(wordpiece: Any, tmp_path: Path) -> None:
    model = tiny_model("bert", len(wordpiece), wordpiece)
    model.save_pretrained(tmp_path / "lm")
    wordpiece.save_pretrained(tmp_path / "lm")
    scorer = build_scorer(f"masked:{tmp_path / 'lm'}")
    assert scorer is not None
    assert scorer.identity == f"masked:{fingerprint(model, wordpiece)}:fp32"


def test_a_causal_model_without_a_padding_token_is_loaded_from_disk(tmp_path: Path) -> None:
    """GPT-2 has no padding token; its end-of-text token pads the rows."""
    tokenizer = make_tokenizer("bytelevel", tmp_path / "files")
    model = tiny_model("gpt2", len(tokenizer), tokenizer)
    usual = CausalScorer(model, tokenizer).log_ratios(REQUESTS)
    tokenizer.pad_token = None
    model.save_pretrained(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    scorer = build_scorer(f"causal:{tmp_path / 'lm'}")
    assert isinstance(scorer, CausalScorer)
    for got, expected in zip(scorer.log_ratios(REQUESTS), usual, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-4)


def test_bf16_is_near_fp32(wordpiece: Any) -> None:
    model = tiny_model("bert", len(wordpiece), wordpiece)
    exact, rough = (
        MaskedScorer(model, wordpiece, precision=precision).log_ratios(REQUESTS[:1])[0]
        for precision in ("fp32", "bf16")
    )
    np.testing.assert_allclose(exact, rough, atol=0.1)


def test_the_spec_none_gives_no_scorer() -> None:
    assert build_scorer("none") is None


@pytest.mark.parametrize("spec", ["", "gpt2", "masked:", "file:", "n-gram:x"])
def test_an_unknown_spec_lists_the_known_kinds(spec: str) -> None:
    with pytest.raises(
        UsageError, match=r"Use masked:ID_OR_PATH, causal:ID_OR_PATH, file:PATH, tiny or none\."
    ):
        build_scorer(spec)


def test_a_missing_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match=r"The masked language model '.*nothing' cannot be loaded"):
        build_scorer(f"masked:{tmp_path / 'nothing'}")


def test_a_tokenizer_without_mask_cannot_score_as_masked(bytelevel: Any, tmp_path: Path) -> None:
    tokenizer = make_tokenizer("bytelevel", tmp_path)
    model = tiny_model("roberta", len(tokenizer), tokenizer)
    tokenizer.mask_token = None
    with pytest.raises(UsageError, match="has no mask token"):
        MaskedScorer(model, tokenizer)


def test_a_scorer_accepts_every_text_by_default() -> None:
    class Constant(Scorer):
        identity = "constant"

        def log_ratios(self, requests: Any) -> Any:
            return [np.zeros(len(request.substitutes), np.float32) for request in requests]

    Constant().check([["any", "text"]])
