"""Pre-training of the embedded encoder on made-up text: windows, masking, loss, schedule."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from scripts.pretraining import batches, model, text, trainer

VOCABULARY = [*text.SPECIAL, *(f"word{i}" for i in range(45)), *(f"##piece{i}" for i in range(50))]
CONTINUES = batches.continuation_table(VOCABULARY)


def random_review(rng: np.random.Generator, length: int) -> np.ndarray:
    """Return ids of a review: the first begins a word, and some are [UNK]."""
    ids = rng.integers(5, len(VOCABULARY), length).astype(np.uint16)
    ids[rng.random(length) < 0.05] = text.UNK
    ids[0] = 5
    return ids


def store(lengths: list[int], seed: int = 0) -> text.TokenStore:
    rng = np.random.default_rng(seed)
    ids = np.concatenate([random_review(rng, length) for length in lengths])
    return text.TokenStore(ids, np.cumsum([0, *lengths], dtype=np.int64))


@pytest.fixture
def stores() -> tuple[text.TokenStore, text.TokenStore]:
    lengths = [3, 126, 127, 260, 700, 40, 126 * 3]
    return store(lengths), store(lengths, seed=1)


def test_reviews_equal_to_a_test_review_and_duplicates_are_dropped() -> None:
    found, counts = text.select_reviews(
        [
            ("train/unsup", "A <br /><br />GREAT film!"),
            ("train/pos", "Dull, dull."),
            ("train/neg", "Quite   good"),
            ("train/unsup", "quite good."),
            ("train/unsup", "Its own thing."),
            ("test/pos", "a great film"),
            ("test/neg", "dull dull"),
        ]
    )
    assert found == ["Quite good", "Its own thing."]
    assert counts == {
        "read": 5,
        "kept": 2,
        "equal_test_unlabelled": 1,
        "equal_test_train": 1,
        "duplicate": 1,
    }


def test_words_are_treebank_words_of_simple_sentences() -> None:
    words = text.treebank_words("Mr. Smith isn't bad. He's good! \"Really?\" I'd say so.")
    assert words[:6] == ["mr.", "smith", "is", "n't", "bad", "."]
    assert {"'s", "``", "''", "'d"} <= set(words)


def test_vocabulary_holds_contractions_as_plain_entries() -> None:
    reviews = [f"this film is number {i} of the sci-fi series, isn't it?" for i in range(50)]
    vocabulary = text.train_vocabulary(reviews, ["sci-fi", "the"], 120)
    assert vocabulary[:5] == list(text.SPECIAL)
    assert len(set(vocabulary)) == len(vocabulary) <= 120
    assert {*text.CONTRACTIONS, "sci-fi"} <= set(vocabulary)
    encoding = text.build_tokenizer(vocabulary).encode("This isn't a sci-fi film")
    assert encoding.tokens[0] == "[CLS]"
    assert "n't" not in encoding.tokens
    assert "sci-fi" not in encoding.tokens


def _write_reviews(root: Path) -> None:
    for folder in text.FOLDERS:
        file = root / "aclImdb" / folder / "0_1.txt"
        file.parent.mkdir(parents=True)
        file.write_text(f"review of {folder}", encoding="utf-8")


def test_folder_and_archives_give_the_same_reviews(tmp_path: Path) -> None:
    _write_reviews(tmp_path / "folder")
    packed = tmp_path / "packed"
    packed.mkdir()
    for name, parts in zip(
        text.ARCHIVES, (("train/pos", "train/neg", "test"), ("train/unsup",)), strict=True
    ):
        with tarfile.open(packed / name, "w:xz") as archive:
            for part in parts:
                archive.add(tmp_path / "folder" / "aclImdb" / part, arcname=f"aclImdb/{part}")
    assert sorted(text.iter_reviews(packed)) == sorted(text.iter_reviews(tmp_path / "folder"))
    with pytest.raises(FileNotFoundError, match="imdb_unsup"):
        list(text.iter_reviews(tmp_path))


def test_windows_cover_the_review_and_never_cut_a_word() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 125, 126, 127, 251, 252, 253, 700):
        ids = random_review(rng, length)
        windows = batches.cut_windows(ids, CONTINUES, 126, rng)
        assert all(0 <= start < end <= length and end - start <= 126 for start, end in windows)
        assert windows[0][0] == 0
        assert all(not CONTINUES[ids[start]] for start, _ in windows)
        assert all(end == length or not CONTINUES[ids[end]] for _, end in windows)
        covered = np.zeros(length, dtype=bool)
        for start, end in windows:
            covered[start:end] = True
        assert covered.mean() > 0.9


def test_windows_stay_inside_their_review(stores: tuple[text.TokenStore, text.TokenStore]) -> None:
    reviews = np.arange(len(stores[0]))
    windows = batches.epoch_windows(stores, reviews, CONTINUES, 126, np.random.default_rng(3))
    forms = {window.review: window.form for window in windows}
    assert set(forms) == set(reviews.tolist())
    for window in windows:
        assert window.form == forms[window.review]
        assert window.end <= len(stores[window.form].review(window.review))
    padded = batches.pad_windows(stores, windows)
    for row, window in zip(padded, windows, strict=True):
        size = window.end - window.start
        assert row[0] == text.CLS
        assert row[size + 1] == text.SEP
        assert not row[size + 2 :].any()
        assert (
            row[1 : size + 1]
            == stores[window.form].review(window.review)[window.start : window.end]
        ).all()


def _inputs(rows: int = 400, length: int = 128) -> np.ndarray:
    rng = np.random.default_rng(5)
    inputs = np.stack([random_review(rng, length) for _ in range(rows)]).astype(np.int64)
    inputs[:, 0], inputs[:, -1] = text.CLS, text.SEP
    inputs[:, 1] = 5
    return inputs


def test_masking_rates_are_those_of_the_settings() -> None:
    inputs, settings = _inputs(), batches.Settings()
    masked, labels = batches.mask_words(inputs, CONTINUES, settings, np.random.default_rng(0))
    chosen = labels != batches.IGNORE
    assert chosen[inputs >= 5].mean() == pytest.approx(settings.mask_rate, abs=0.01)
    hidden = masked[chosen] == text.MASK
    assert hidden.mean() == pytest.approx(0.8, abs=0.02)
    # A random entry is the original one by chance in one of 95 cases.
    assert (masked[chosen] == inputs[chosen]).mean() == pytest.approx(0.1, abs=0.02)
    assert (labels[chosen] == inputs[chosen]).all()
    assert (masked[~chosen] == inputs[~chosen]).all()


def test_special_tokens_and_unknown_words_are_never_masked() -> None:
    inputs = _inputs()
    masked, labels = batches.mask_words(
        inputs, CONTINUES, batches.Settings(mask_rate=0.9), np.random.default_rng(0)
    )
    special = inputs < 5
    assert (labels[special] == batches.IGNORE).all()
    assert (masked[special] == inputs[special]).all()
    assert (masked[labels != batches.IGNORE] != text.UNK).all()


def test_whole_words_are_masked() -> None:
    inputs = _inputs()
    masked, labels = batches.mask_words(
        inputs, CONTINUES, batches.Settings(), np.random.default_rng(1)
    )
    # Pairs of neighbours where the second piece continues the first. ([UNK] has no continuation.)
    same = CONTINUES[inputs[:, 1:]] & (inputs[:, :-1] >= 5)
    assert ((labels[:, 1:] != batches.IGNORE) == (labels[:, :-1] != batches.IGNORE))[same].all()
    assert ((masked[:, 1:] == text.MASK) == (masked[:, :-1] == text.MASK))[same].all()


def test_a_bag_comes_from_outside_the_window(
    stores: tuple[text.TokenStore, text.TokenStore],
) -> None:
    rng = np.random.default_rng(0)
    ids = np.arange(5, 305, dtype=np.uint16)
    for start in (0, 50, 174):
        bag = batches.other_window(ids, batches.Window(0, 0, start, start + 126), 126, rng)
        assert 0 < len(bag) <= 126
        assert not set(bag.tolist()) & set(ids[start : start + 126].tolist())
    assert len(batches.other_window(ids[:100], batches.Window(0, 0, 0, 100), 126, rng)) == 0
    target = model.bag_targets([np.array([7, 7, 9])], torch.ones(20))
    assert target[0, 7] == pytest.approx(2 / 3)
    assert target.sum() == pytest.approx(1.0)


def test_a_resumed_run_gets_the_batches_that_follow(
    stores: tuple[text.TokenStore, text.TokenStore],
) -> None:
    def take(skip: int, count: int) -> list[batches.Batch]:
        source = batches.batches(
            stores, np.arange(len(stores[0])), CONTINUES, batches.Settings(), 4, seed=1, skip=skip
        )
        return [next(source) for _ in range(count)]

    whole, rest = take(0, 9), take(6, 3)
    for first, second in zip(whole[6:], rest, strict=True):
        assert (first.inputs == second.inputs).all()
        assert (first.positions == second.positions).all()
        assert (first.positions[:, 0] == 0).all()
        assert first.positions.max() < 512


def test_the_rate_rises_then_falls_to_zero() -> None:
    values = [model.rate_factor(progress) for progress in np.linspace(0, 1, 101)]
    assert values[0] == 0.0
    assert values[-1] == 0.0
    assert int(np.argmax(values)) == 6
    assert max(values) == pytest.approx(1.0)
    assert np.all(np.diff(values[:7]) > 0)
    assert np.all(np.diff(values[6:]) < 0)


def test_the_used_share_follows_the_given_budget() -> None:
    def options(minutes: float = 0.0, tokens: int = 0, steps: int = 0) -> trainer.Options:
        return trainer.Options(1, 8, 1, 100, minutes, tokens, steps, 0, "fp32", 1, 4, 1e-3, 0.5)

    progress = trainer.RunState(steps=5, tokens=100, seconds=30.0)
    assert progress.share(options(minutes=1)) == 0.5
    assert progress.share(options(tokens=400)) == 0.25
    assert progress.share(options(steps=4)) == 1.0


def test_projected_cross_entropy_equals_the_plain_one() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((150, 16), (300, 16), (300,))
    leaves = [torch.randn(*shape, generator=generator).requires_grad_() for shape in shapes]
    target = torch.randint(0, 300, (150,), generator=generator)
    mine = model.ProjectedCrossEntropy.apply(*leaves, target)  # type: ignore[no-untyped-call]
    plain = nn.functional.cross_entropy(nn.functional.linear(*leaves), target)
    assert mine.item() == pytest.approx(plain.item(), rel=1e-5)
    for found, expected in zip(
        torch.autograd.grad(2 * mine, leaves), torch.autograd.grad(2 * plain, leaves), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_svd_embeddings_of_words_with_equal_contexts_are_similar() -> None:
    rng = np.random.default_rng(0)
    # Ids 5..14 occur with 25..34, and ids 15..24 with 35..44.
    reviews = []
    for i in range(400):
        group = i % 2
        ids = np.empty(40, dtype=np.uint16)
        ids[0::2] = rng.integers(5 + 10 * group, 15 + 10 * group, 20)
        ids[1::2] = rng.integers(25 + 10 * group, 35 + 10 * group, 20)
        reviews.append(ids)
    both = text.TokenStore(np.concatenate(reviews), np.arange(0, 401 * 40, 40))
    torch.manual_seed(0)
    vectors = model.svd_embeddings((both, both), np.arange(400), 50, 8)
    unit = nn.functional.normalize(vectors, dim=1)
    similar = unit @ unit.T
    assert similar[5:15, 5:15].mean() > similar[5:15, 15:25].mean() + 0.3
    assert vectors[10].pow(2).mean().sqrt().item() == pytest.approx(0.05, rel=1e-3)
    assert not vectors[text.PAD].any()


def test_a_few_steps_of_training_lower_the_loss(tmp_path: Path) -> None:
    pieces, words = store([60] * 300), store([60] * 300, seed=1)
    corpus = text.Corpus(pieces, words, VOCABULARY, tmp_path / "none", {})
    options = trainer.Options(1, 16, 1, len(VOCABULARY), 0.0, 0, 30, 0, "fp32", 1, 16, 1e-2, 0.5)
    run = trainer.Trainer(options, corpus, tmp_path)
    run.start(resume=False)
    run.run(log_seconds=0.0, save_seconds=1e9)
    losses = [entry["loss"] for entry in run.progress.history]
    assert run.progress.steps == 30
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    again = trainer.Trainer(options, corpus, tmp_path)
    again.start(resume=True)
    assert again.progress.steps == 30
    assert torch.equal(again.model.embedding, run.model.embedding)
