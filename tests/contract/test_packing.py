"""The same answer whatever the packing, of real encoders on this machine: bitwise, in the shapes that the engine uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeFields, FakeTable, make_job

from robench import ATTACKS, Trial
from robench._base.environment import Precision
from robench.models.classifier import TextClassifier
from robench.search.batching import Lane, Shapes
from robench.search.engine import Job, run
from robench.text.encoding import Reading

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
NAMES = {"bert": "Bert", "roberta": "Roberta", "electra": "Electra", "distilbert": "DistilBert"}
MODELS = {family: getattr(transformers, f"{name}Model") for family, name in NAMES.items()}
CONFIGS = {family: getattr(transformers, f"{name}Config") for family, name in NAMES.items()}
WORDS = [f"w{number}" for number in range(40)]
SUBSTITUTES = {word: [f"{word}a", f"{word}b", f"{word}c"] for word in WORDS}


class RandomVictim:
    """A BERT of random weights behind the fake table."""

    device, attackable, segments = "cpu", "text", False

    def __init__(self, layers: int, width: int) -> None:
        from transformers import BertConfig, BertModel

        self.table = FakeTable(
            [*WORDS, *(f"{word}{variant}" for word in WORDS for variant in "abc")]
        )
        self.encoder_fields = FakeFields(self.table, "text", 300)
        torch.manual_seed(3)
        config = BertConfig(
            vocab_size=len(self.table.numbers) + 4,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            intermediate_size=4 * width,
            initializer_range=0.2,  # large, so that words matter and some texts are fooled
        )
        self.model = TextClassifier(BertModel(config), 2).eval()
        with torch.no_grad():  # so that words decide, but not every word
            margins = self.logits(
                np.random.default_rng(0).integers(4, 164, size=(64, 9)).astype(np.int32),
                np.full(64, 9, dtype=np.int32),
            )
            self.model.head[-1].get_parameter("bias")[0] -= float(
                np.quantile(margins[:, 0] - margins[:, 1], 0.1)
            )

    def logits(
        self,
        ids: np.ndarray,
        lengths: np.ndarray,
        types: np.ndarray | None = None,
        precision: Precision = "fp32",
    ) -> np.ndarray:
        mask = torch.arange(ids.shape[1]) < torch.as_tensor(lengths)[:, None]
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
        ):
            return self.model(torch.as_tensor(ids, dtype=torch.long), mask.long()).numpy()  # type: ignore[no-any-return]

    def read(self, fields: Mapping[str, str]) -> Reading:
        ids = np.array(self.encoder_fields.ids({"text": fields["text"].split()}), dtype=np.int32)
        return Reading(ids, np.zeros(len(ids), dtype=np.int8))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As searches have it everywhere on a CPU."""
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


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("length", [3, 8, 17, 22, 33, 64, 102, 250])
def test_logits_of_a_row_do_not_depend_on_company_number_or_place(
    victim: RandomVictim, length: int, precision: Precision
) -> None:
    rng = np.random.default_rng(length)
    shapes = Shapes()
    rows = max(shapes.rows(Lane(length)), 2 * shapes.floor)
    ids = rng.integers(4, 160, size=(rows, length)).astype(np.int32)
    lengths = rng.integers(max(1, length - 7), length + 1, size=rows).astype(np.int32)
    ids[np.arange(length) >= lengths[:, None]] = 0

    def logits(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return victim.logits(ids, lengths, precision=precision)

    reference = logits(ids, lengths)
    assert np.isfinite(reference).all()
    order = rng.permutation(rows)
    assert np.array_equal(logits(ids[order], lengths[order]), reference[order])
    for count in sorted({shapes.floor, shapes.floor + 1, shapes.floor + 3, rows - 1}):
        assert np.array_equal(logits(ids[:count], lengths[:count]), reference[:count]), (
            f"{count} rows of {length} tokens"
        )
        assert np.array_equal(logits(ids[-count:], lengths[-count:]), reference[-count:]), (
            f"last {count} rows of {length} tokens"
        )


@pytest.mark.parametrize("length", [17, 40, 102, 250])
def test_whether_anybody_in_the_company_is_padded_makes_no_difference(
    victim: RandomVictim, length: int
) -> None:
    """Encoders take another way through attention where no row is padded."""
    ids = np.random.default_rng(length).integers(4, 160, size=(16, length)).astype(np.int32)
    whole, some = (
        np.full(16, length, dtype=np.int32),
        np.array([length] * 8 + [length - 1] * 8, dtype=np.int32),
    )
    assert np.array_equal(victim.logits(ids, some)[:8], victim.logits(ids, whole)[:8])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["genetic", "pwws"])
def test_the_same_trials_from_a_real_encoder(
    victim: RandomVictim, jobs: list[Job], name: str, precision: Precision
) -> None:
    cls = ATTACKS.get(name)
    attack = cls(cls.Options(**({"population": 6, "iterations": 4} if name == "genetic" else {})))

    def trials(given: list[Job], **settings: Any) -> list[Trial]:
        found = run(victim, attack, name, given, seed=0, precision=precision, **settings)
        return sorted(
            (trial.model_copy(update={"seconds": 0.0}) for trial in found),
            key=lambda trial: trial.id,
        )

    usual = trials(jobs)
    whole = Shapes(
        tokens=400, most=32, floor=8, fixed=True
    )  # as on a GPU: every forward is full, single rows go by themselves
    assert trials(jobs, shapes=whole) == usual
    assert len({trial.verdict for trial in usual}) > 1
    assert trials(jobs[::-1], shapes=Shapes(tokens=200, most=9)) == usual
    assert trials(jobs, most_live=1) == usual
    assert [trials([job])[0] for job in jobs] == usual


@pytest.mark.parametrize(
    ("family", "layers", "width"),
    [
        ("bert", 1, 768),
        ("bert", 2, 256),
        ("roberta", 2, 128),
        ("electra", 2, 128),
        ("distilbert", 2, 128),
    ],
)
@pytest.mark.parametrize("length", [17, 102])
def test_so_it_is_with_larger_encoders_and_other_families(
    family: str, layers: int, width: int, length: int
) -> None:
    """In the last layer products have as many rows as the forward: 8 to 128, with inner widths of up to 3,072."""
    shape = {
        "vocab_size": 200,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "hidden_size": width,
        "intermediate_size": 4 * width,
    }
    torch.manual_seed(0)
    model = TextClassifier(MODELS[family](CONFIGS[family](**shape)), 2).eval()
    rows = Shapes().rows(Lane(length))
    ids = torch.as_tensor(np.random.default_rng(length).integers(5, 190, size=(rows, length)))
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        reference = model(ids, mask)
        for count in (8, 9, 11, 13, rows - 1):
            assert torch.equal(model(ids[:count], mask[:count]), reference[:count]), f"{count} rows"
            assert torch.equal(model(ids[-count:], mask[-count:]), reference[-count:]), (
                f"last {count} rows"
            )
