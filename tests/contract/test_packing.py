"""The same answer, bit for bit, for any packing: real encoders on the machine at hand.

The tests ask what robench promises: the answers in the shapes that it chooses for this machine
(``robench.search.packing``). They ask nothing of one maker's processor or library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeFields, FakeTable, make_job

from robench import ATTACKS, Trial
from robench._base.environment import Precision
from robench.models.classifier import TextClassifier
from robench.search.batching import Pool
from robench.search.engine import Job, run
from robench.search.packing import choose_shapes
from robench.search.settings import SearchSettings
from robench.search.shapes import Bucket, Shapes
from robench.text.encoding import EncodedText

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
NAMES = {"bert": "Bert", "roberta": "Roberta", "electra": "Electra", "distilbert": "DistilBert"}
MODELS = {family: getattr(transformers, f"{name}Model") for family, name in NAMES.items()}
CONFIGS = {family: getattr(transformers, f"{name}Config") for family, name in NAMES.items()}
WORDS = [f"w{number}" for number in range(40)]
SUBSTITUTES = {word: [f"{word}a", f"{word}b", f"{word}c"] for word in WORDS}


class RandomVictim:
    """An encoder with random weights that uses the fake word table."""

    device, attackable, segments = "cpu", "text", False

    def __init__(self, layers: int, width: int, family: str = "bert") -> None:
        self.table = FakeTable(
            [*WORDS, *(f"{word}{variant}" for word in WORDS for variant in "abc")]
        )
        self.encoder_fields = FakeFields(self.table, "text", 300)
        self.vocabulary = len(self.table.numbers) + 4
        torch.manual_seed(3)
        config = CONFIGS[family](
            vocab_size=self.vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            intermediate_size=4 * width,
            initializer_range=0.2,  # large, so that words matter and some texts are fooled
        )
        self.model = TextClassifier(MODELS[family](config), 2).eval()
        # Move the bias so that words decide, but not every word.
        random = np.random.default_rng(0)
        ids = random.integers(4, self.vocabulary, size=(64, 9)).astype(np.int32)
        margins = self.logits(ids, np.full(64, 9, dtype=np.int32))
        bias = self.model.head[-1].get_parameter("bias")
        with torch.no_grad():
            bias[0] -= float(np.quantile(margins[:, 0] - margins[:, 1], 0.1))

    def logits(
        self,
        ids: np.ndarray,
        lengths: np.ndarray,
        types: np.ndarray | None = None,
        precision: Precision = "fp32",
    ) -> np.ndarray:
        mask = torch.arange(ids.shape[1]) < torch.as_tensor(lengths)[:, None]
        reduced = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), reduced:
            inputs = torch.as_tensor(ids, dtype=torch.long)
            return self.model(inputs, mask.long()).numpy()  # type: ignore[no-any-return]

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        ids = np.array(self.encoder_fields.ids({"text": fields["text"].split()}), dtype=np.int32)
        return EncodedText(ids, np.zeros(len(ids), dtype=np.int8))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute in one thread, as searches do on a CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=[(2, 128), (3, 64)], ids=["2x128", "3x64"])
def victim(request: pytest.FixtureRequest) -> RandomVictim:
    return RandomVictim(*request.param)


@pytest.fixture(scope="module")
def jobs(victim: RandomVictim) -> list[Job]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(10):
        text = " ".join(rng.choice(WORDS, size=int(rng.integers(3, 14))))
        row = victim.read({"text": text}).ids
        label = int(
            victim.logits(np.repeat(row[None], 8, axis=0), np.full(8, len(row)))[0].argmax()
        )
        made.append(make_job(text, SUBSTITUTES, label=label, number=number))
    return made


def random_packings(count: int, random: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Yield ways to divide ``count`` rows into parts, in random order."""
    yield [np.arange(count)]
    yield [np.array([row]) for row in random.permutation(count)]
    for _ in range(4):
        order = random.permutation(count)
        cuts = np.sort(random.choice(np.arange(1, count), size=min(4, count - 1), replace=False))
        yield [part for part in np.split(order, cuts) if len(part)]


def answers_in(
    victim: Any, shapes: Shapes, bucket: Bucket, ids: np.ndarray, lengths: np.ndarray, parts: Any
) -> np.ndarray:
    """Return the logits of all rows, computed part by part; a part may need several passes."""
    pool, found = Pool(victim, shapes, bucket.precision), np.full((len(ids), 2), np.nan, np.float32)
    types = np.zeros(ids.shape, dtype=np.int8)
    for part in parts:
        for at in np.split(part, range(shapes.rows(bucket), len(part), shapes.rows(bucket))):
            found[at] = pool.logits(ids[at], lengths[at], types[at], bucket)
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("length", [3, 8, 17, 22, 33, 64, 102, 250])
def test_a_row_has_the_same_logits_beside_any_rows(
    victim: RandomVictim, length: int, precision: Precision
) -> None:
    shapes, _ = choose_shapes(victim, precision, victim.vocabulary)
    bucket, random = Bucket(length, precision), np.random.default_rng(length)
    rows = max(shapes.rows(bucket), 2 * shapes.floor) + 5
    ids = random.integers(4, 160, size=(rows, length)).astype(np.int32)
    # Under fixed shapes padded rows go apart from whole ones, so no row is padded here.
    shortest = length if shapes.fixed else max(1, length - 7)
    lengths = random.integers(shortest, length + 1, size=rows).astype(np.int32)
    ids[np.arange(length) >= lengths[:, None]] = 0
    packings = random_packings(rows, random)
    reference = answers_in(victim, shapes, bucket, ids, lengths, next(packings))
    assert np.isfinite(reference).all()
    for parts in packings:
        assert np.array_equal(answers_in(victim, shapes, bucket, ids, lengths, parts), reference), (
            f"{[len(part) for part in parts]} rows of {length} tokens"
        )


@pytest.mark.parametrize("name", ["genetic", "pwws"])
@pytest.mark.parametrize(
    ("way", "precision"),
    [
        ("chosen", "fp32"),
        ("chosen", "bf16"),
        ("fixed", "fp32"),
        ("fixed", "bf16"),
        ("single", "fp32"),
    ],
)
def test_a_real_encoder_gives_the_same_trials_for_any_packing(
    victim: RandomVictim, jobs: list[Job], name: str, precision: Precision, way: str
) -> None:
    """In the shapes chosen for this machine, and in those for machines that need slower ones."""
    shapes = {
        "chosen": choose_shapes(victim, precision, victim.vocabulary)[0],
        "fixed": Shapes(tokens=400, most=32, floor=8, fixed=True),
        "single": Shapes(most=1, floor=1, fixed=True),
    }[way]
    cls = ATTACKS.get(name)
    small = {"population": 6, "iterations": 4} if name == "genetic" else {}
    attack, settings = cls(cls.Options(**small)), SearchSettings(precision=precision)

    def trials(given: list[Job], **engine: Any) -> list[Trial]:
        found = run(victim, attack, name, given, settings, shapes=shapes, **engine)
        same = (trial.model_copy(update={"seconds": 0.0}) for trial in found)
        return sorted(same, key=lambda trial: trial.id)

    usual = trials(jobs)
    assert len({trial.verdict for trial in usual}) > 1
    assert trials(jobs[::-1]) == usual
    assert trials(jobs, max_running=1) == usual
    assert trials(jobs, max_running=3) == usual
    assert [trials([job])[0] for job in jobs] == usual


@pytest.mark.parametrize(
    ("family", "layers", "width"),
    [
        ("bert", 1, 768),
        ("bert", 2, 256),
        ("bert", 2, 384),
        ("roberta", 2, 128),
        ("electra", 2, 128),
        ("distilbert", 2, 128),
    ],
)
@pytest.mark.parametrize("length", [17, 102])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_larger_encoders_and_other_families_give_the_same_logits_beside_any_rows(
    family: str, layers: int, width: int, length: int, precision: Precision
) -> None:
    victim = RandomVictim(layers, width, family)
    shapes, _ = choose_shapes(victim, precision, victim.vocabulary)
    bucket, random = Bucket(length, precision), np.random.default_rng(0)
    rows = shapes.rows(bucket)
    ids = random.integers(5, 160, size=(rows, length)).astype(np.int32)
    lengths = np.full(rows, length, dtype=np.int32)
    packings = random_packings(rows, random)
    reference = answers_in(victim, shapes, bucket, ids, lengths, next(packings))
    next(packings)  # one row at a time is slow with 768 columns
    for parts in packings:
        assert np.array_equal(answers_in(victim, shapes, bucket, ids, lengths, parts), reference)
