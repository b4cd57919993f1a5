"""Given models are attacked: what fools them fools plain transformers, in any number of workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from given_cases import (
    AWKWARD,
    CORPUS,
    FAMILIES,
    MAX_TOKENS,
    make_job,
    plain_probs,
    save_model,
    source,
)

from robench import ATTACKS
from robench._base.errors import UsageError
from robench.models.given.loading import load_given
from robench.models.given.victim import GivenVictim
from robench.search.attack import Trial, Verdict
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.packing import choose_shapes
from robench.search.settings import SearchSettings
from robench.search.texts import encode_text
from robench.search.whitebox import check_access
from robench.search.workers import WorkerPlan, run_workers
from robench.text.words import replace_words

TEXTS = (*CORPUS, *AWKWARD[:3], AWKWARD[6])


def jobs_for(victim: GivenVictim, fields: tuple[str, ...] = ("text",)) -> list[Job]:
    """Return jobs that the victim has right, so that each is attacked."""
    found = []
    for number, text in enumerate(TEXTS):
        texts = dict.fromkeys(fields, CORPUS[0]) | {"text": text}
        label = int(victim.predict([texts])[0])
        whole = make_job(texts, "text", label, number)
        visible = victim.encoder_fields.visible(whole.words, texts)
        found.append(make_job(texts, "text", label, number, visible))
    return found


def attack(victim: GivenVictim, jobs: list[Job], name: str, **rest: Any) -> list[Trial]:
    chosen = ATTACKS.get(name)
    shapes, _ = choose_shapes(victim, "fp32", victim.vocabulary)
    made = chosen(chosen.Options(**rest))
    return sorted(
        run(victim, made, name, jobs, SearchSettings(), shapes=shapes), key=lambda one: one.id
    )


def adversarial(job: Job, trial: Trial) -> dict[str, str]:
    changed = {change.position: change.substitute for change in trial.changes}
    text = replace_words(job.example.fields["text"], changed)
    return dict(job.example.fields) | {"text": text}


def confirmed(folder: Path, fields: tuple[str, ...]) -> int:
    """Attack a model and return how many successes plain transformers confirmed: all of them."""
    victim = load_given(source(folder, fields))
    jobs = jobs_for(victim, fields)
    by_id = {job.example.id: job for job in jobs}
    fooled = 0
    for trials in (
        attack(victim, jobs, "pwws"),
        attack(victim, jobs, "genetic", population=6, iterations=3),
    ):
        assert len(trials) == len(jobs)
        for trial in trials:
            assert trial.verdict in (Verdict.FOOLED, Verdict.HELD, Verdict.HELD_PROVED), trial
            if trial.verdict == Verdict.FOOLED:
                fooled += 1
                texts = adversarial(by_id[trial.id], trial)
                probs = plain_probs(folder, [texts[name] for name in fields], victim.max_tokens)
                assert probs.argmax() == trial.adversarial_prediction != trial.label
    return fooled


@pytest.mark.slow
@pytest.mark.parametrize("fields", [("text",), ("premise", "text")], ids=["text", "pair"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_success_is_one_for_plain_transformers(
    tmp_path: Path, family: str, fields: tuple[str, ...]
) -> None:
    # A random model may hold against everything, so the next one is tried.
    for seed in range(12):
        folder = save_model(tmp_path / f"{family}-{seed}", family, seed=seed)
        if confirmed(folder, fields) > 1:
            return
    pytest.fail("no model was fooled")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_one_and_two_workers_give_the_same_trials(tmp_path: Path, family: str) -> None:
    folder = save_model(tmp_path / family, family)
    origin = source(folder, label_map={"positive": "positive"})
    victim = load_given(origin)
    jobs = jobs_for(victim)
    shapes, _ = choose_shapes(victim, "fp32", victim.vocabulary)
    results = []
    for workers in (1, 2):
        plan = WorkerPlan(origin, "pwws", {}, SearchSettings(), shapes)
        found = sorted(run_workers(plan, jobs, workers), key=lambda one: one.id)
        results.append([trial.model_dump(exclude={"seconds"}) for trial in found])
    assert results[0] == results[1]
    assert [one["id"] for one in results[0]] == sorted(job.example.id for job in jobs)


def no_padding_token(config: Any) -> None:
    config.pad_token_id = None


@pytest.mark.parametrize("family", ["gpt2", "qwen2", "llama"])
def test_a_decoder_without_a_padding_token_is_asked_right(tmp_path: Path, family: str) -> None:
    folder = save_model(tmp_path / family, family, change=no_padding_token)
    victim = load_given(source(folder))
    # Qwen has unused rows of embeddings. The others have no token for padding alone, and only
    # Llama's positions are relative, so that padding on the left does no harm.
    assert victim.padding == {"gpt2": "none", "qwen2": "right", "llama": "left"}[family]
    texts = [*AWKWARD, "good film <|endoftext|>", "good film </s>"]
    found = victim.probs_of_texts([{"text": text} for text in texts])
    expected = [plain_probs(folder, [text], victim.max_tokens) for text in texts]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    trials = attack(victim, jobs_for(victim), "pwws")
    assert {trial.verdict for trial in trials} <= {
        Verdict.FOOLED, Verdict.HELD, Verdict.HELD_PROVED
    }  # fmt: skip


def test_rows_without_padding_are_asked_by_length(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "gpt2", "gpt2", change=no_padding_token)
    victim = load_given(source(folder))
    rows = [victim.read({"text": text}).ids for text in CORPUS]
    lengths = np.array([len(row) for row in rows])
    assert len(set(lengths.tolist())) > 1
    ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int32)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    alone = [victim.logits(row[None], np.array([len(row)]))[0] for row in rows]
    np.testing.assert_allclose(victim.logits(ids, lengths), alone, rtol=0, atol=1e-5)


def test_a_tokenizer_that_joins_words_is_asked_for_whole_texts(tmp_path: Path) -> None:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    folder = save_model(tmp_path / "bert")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    # Words are read from behind the third character on, so a word changes those after it.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(length=3)
    tokenizer.save_pretrained(folder)
    victim = load_given(source(folder))
    assert not victim.encoder_fields.by_chunk
    text = "A film of good actors and plot"
    job = make_job({"text": text}, "text", 0)
    candidates = victim.encoder_fields.candidates(job.words, job.space, {"text": text})
    choices = np.stack([job.space.original(), (job.space.sizes - 1).astype(np.int16)])
    ids, lengths = candidates.encode(choices)
    again = "A picture of nice performers and tale"
    for row, length, string in zip(ids, lengths, (text, again), strict=True):
        assert row[:length].tolist() == victim.read({"text": string}).ids.tolist()
    expected = plain_probs(folder, [again], MAX_TOKENS)
    np.testing.assert_allclose(victim.probs_of_texts([{"text": again}])[0], expected, atol=1e-5)
    assert attack(victim, jobs_for(victim), "pwws")


def test_the_unknown_word_of_a_free_text_is_the_models_own(tmp_path: Path) -> None:
    victim = load_given(source(save_model(tmp_path / "roberta", "roberta")))
    row = encode_text(victim, {"text": "a  good [UNK], film"})
    expected = victim.read({"text": "a  good <unk>, film"}).ids
    assert row.ids[0, : row.lengths[0]].tolist() == expected.tolist()
    plain = encode_text(victim, {"text": "a  good\nfilm"})
    assert plain.ids[0].tolist() == victim.read({"text": "a  good\nfilm"}).ids.tolist()


def test_an_empty_text_is_an_error_of_its_example(tmp_path: Path) -> None:
    victim = load_given(source(save_model(tmp_path / "gpt2", "gpt2")))
    jobs = [make_job({"text": text}, "text", 0, number) for number, text in enumerate(("", "a"))]
    first, second = attack(victim, jobs, "pwws")
    assert first.verdict == Verdict.ERROR
    assert first.problem == (
        "the victim failed on the clean text: ValueError: the model's tokenizer makes no token of "
        "the text"
    )
    assert second.verdict != Verdict.ERROR


def test_gradients_are_refused(tmp_path: Path) -> None:
    victim = load_given(source(save_model(tmp_path / "bert")))
    sentence = "which robench has only for victims that it trained itself: choose another attack"
    with pytest.raises(UsageError, match=sentence):
        check_access(ATTACKS.get("convex-hull")(), "convex-hull", victim)


def fine_tune(folder: Path, make: Callable[[], tuple[list[str], list[int]]]) -> None:
    """Train a saved model for a few steps, as any user does."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False
    ).train()
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    texts, labels = make()
    inputs = tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        model(**inputs, labels=torch.tensor(labels)).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)


def reviews() -> tuple[list[str], list[int]]:
    from robench import TASKS, DataSource

    splits = TASKS.get("mini-reviews")().load(DataSource())
    chosen = splits.train[:64]
    return [one.fields["text"] for one in chosen], [one.label for one in chosen]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_a_fine_tuned_model_is_attacked_as_it_is(tmp_path: Path, family: str) -> None:
    folder = save_model(
        tmp_path / family,
        family,
        {0: "NEGATIVE", 1: "POSITIVE"},
        initializer_range=0.05,
        sharpen=False,
    )
    fine_tune(folder, reviews)
    victim = load_given(source(folder))
    texts, labels = reviews()
    fields = [{"text": text} for text in texts]
    found = victim.probs_of_texts(fields)
    expected = [plain_probs(folder, [text], victim.max_tokens) for text in texts]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert (found.argmax(axis=1) == labels).mean() > 0.9
    jobs = [
        make_job({"text": text}, "text", label, n)
        for n, (text, label) in enumerate(zip(texts[:12], labels, strict=False))
    ]
    for trial in attack(victim, jobs, "pwws"):
        assert trial.verdict != Verdict.ERROR
        if trial.verdict == Verdict.FOOLED:
            job = jobs[int(trial.id.partition("/")[2])]
            probs = plain_probs(folder, [adversarial(job, trial)["text"]], victim.max_tokens)
            assert probs.argmax() == trial.adversarial_prediction != trial.label
