"""The queue of a classifier, on the CPU, where it must answer as the victim itself does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from robench.search.batching import Pool
from robench.search.shapes import Bucket, Shapes

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from robench.models.classifier import TextClassifier  # noqa: E402
from robench.models.device_queue import DeviceQueue, PendingLogits  # noqa: E402
from robench.models.encoders import find_encoder, load_tokenizer  # noqa: E402
from robench.models.known_mask import KnownMask, known_mask  # noqa: E402
from robench.models.victim import Victim  # noqa: E402

FAMILIES = ("Bert", "Roberta", "Electra", "DistilBert", "Albert", "Deberta")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def classifier(family: str = "Bert", layers: int = 2, width: int = 64) -> TextClassifier:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=200,
        hidden_size=width,
        embedding_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        pad_token_id=0,
    )
    return TextClassifier(getattr(transformers, f"{family}Model")(config), 2).eval()


@pytest.fixture
def victim() -> Victim:
    card = {"name": "small", "task": "none", "labels": ["no", "yes"], "attackable": "text"}
    card |= {"fields": ["text"], "max_tokens": 40, "protocol": "rift2021"}  # type: ignore[dict-item]
    return Victim(classifier(), load_tokenizer(find_encoder("tiny")), card)


def rows(count: int, tokens: int, padded: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(tokens)
    ids = random.integers(5, 200, (count, tokens)).astype(np.int32)
    lengths = np.full(count, tokens, dtype=np.int32)
    if padded:
        lengths -= random.integers(1, 4, count).astype(np.int32)
        ids[np.arange(tokens) >= lengths[:, None]] = 0
    return ids, lengths


def plain_logits(model: Any, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Ask the model as ``Victim.logits`` does."""
    mask = torch.arange(ids.shape[1]) < torch.as_tensor(lengths)[:, None]
    with torch.inference_mode():
        answer = model(torch.as_tensor(ids, dtype=torch.long), mask.long())
    return np.asarray(answer.float().numpy())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("padded", [False, True])
def test_fp32_answers_are_those_of_the_classifier_bit_for_bit(family: str, padded: bool) -> None:
    model = classifier(family)
    ids, lengths = rows(8, 12, padded)
    pending = DeviceQueue(model, "cpu", segments=False).submit(ids, lengths, None, "fp32")
    assert pending.ready()
    assert np.array_equal(pending.result(), plain_logits(model, ids, lengths))


def test_token_types_reach_the_classifier_only_if_it_has_segments() -> None:
    model, (ids, lengths) = classifier(), rows(8, 12, padded=False)
    types = np.repeat(np.arange(12)[None] > 5, 8, axis=0).astype(np.int8)

    def asked(segments: bool, given: np.ndarray | None) -> np.ndarray:
        return DeviceQueue(model, "cpu", segments).submit(ids, lengths, given, "fp32").result()

    without = plain_logits(model, ids, lengths)
    assert np.array_equal(asked(False, types), without)
    assert np.array_equal(asked(True, None), without)
    assert not np.array_equal(asked(True, types), without)
    assert np.array_equal(asked(True, types[0]), asked(True, types))


def test_searches_in_bf16_ask_a_copy_and_the_classifier_keeps_its_weights() -> None:
    model, (ids, lengths) = classifier(), rows(16, 12, padded=True)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    queue = DeviceQueue(model, "cpu", segments=False)
    exact = queue.submit(ids, lengths, None, "fp32").result()
    reduced = queue.submit(ids, lengths, None, "bf16").result()
    assert reduced.dtype == np.float32
    assert not np.array_equal(reduced, exact)
    assert np.abs(reduced - exact).max() < 0.1
    # fp32 after bf16 is fp32 again.
    assert np.array_equal(queue.submit(ids, lengths, None, "fp32").result(), exact)
    for name, each in model.state_dict().items():
        assert each.dtype == before[name].dtype
        assert torch.equal(each, before[name])


def test_the_copy_is_made_once_and_has_the_shortcut() -> None:
    model, (ids, lengths) = classifier(), rows(8, 12, padded=False)
    made: list[TextClassifier] = []

    def copy() -> TextClassifier:
        made.append(TextClassifier.in_bf16(model))
        return made[-1]

    model.in_bf16 = copy  # type: ignore[method-assign]
    queue = DeviceQueue(model, "cpu", segments=False)
    for _ in range(3):
        queue.submit(ids, lengths, None, "bf16").result()
    (twin,) = made
    assert next(twin.parameters()).dtype == torch.bfloat16
    assert not twin.training
    assert twin._shortcut._trusted is True
    assert twin._shortcut._encoder is twin.encoder is not model.encoder


def test_the_copy_is_as_near_to_fp32_as_autocast_is() -> None:
    model, (ids, lengths) = classifier(width=128), rows(64, 20, padded=False)
    exact = plain_logits(model, ids, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = plain_logits(model, ids, lengths)
    own = DeviceQueue(model, "cpu", segments=False).submit(ids, lengths, None, "bf16").result()
    assert np.abs(own - exact).mean() < 4 * np.abs(autocast - exact).mean()


class Waits(TorchDispatchMode):
    """Notes every operation for which a GPU would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name() in ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero"):
            self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", ["Bert", "Roberta", "Electra", "DistilBert", "Albert"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_queueing_a_forward_pass_waits_for_nothing(
    family: str, padded: bool, precision: Any
) -> None:
    queue = DeviceQueue(classifier(family), "cpu", segments=False)
    ids, lengths = rows(8, 12, padded)
    queue.submit(ids, lengths, None, precision)  # the first one tries the shortcut
    with Waits() as waits:
        queue.submit(ids, lengths, None, precision)
    assert waits.seen == []


def test_the_usual_way_waits_which_the_test_above_would_notice() -> None:
    model, (ids, lengths) = classifier(), rows(8, 12, padded=False)
    plain_logits(model, ids, lengths)
    with Waits() as waits:
        plain_logits(model, ids, lengths)
    assert waits.seen


def test_a_mask_answers_from_what_is_known_and_is_a_plain_tensor_otherwise() -> None:
    plain = torch.tensor([[1, 1], [1, 0]])
    mask: Any = known_mask(plain, whole=True)  # a lie, so that the answer shows its source
    assert mask.all() is True
    answer: Any = torch.all(mask == 1)
    assert answer is True
    assert mask.to(torch.bool).all() is True
    assert mask.long().float().all() is True
    # Any other question is about the numbers.
    assert bool(mask.all(dim=1)[1]) is False
    assert type(mask.all(dim=1)) is torch.Tensor
    assert bool((mask == 0).all()) is False
    assert type(mask[:, None, None, :]) is torch.Tensor
    assert type(1.0 - mask) is torch.Tensor
    assert torch.equal(mask * 2, plain * 2)
    assert torch.where(mask.bool(), 1, 0).tolist() == plain.tolist()
    assert isinstance(mask, KnownMask)
    assert type(plain) is torch.Tensor


def test_a_pool_gives_the_same_answers_through_the_queue() -> None:
    class Victim:
        device, segments = "cpu", False

        def __init__(self) -> None:
            self.model = classifier()
            self.table = type("Table", (), {"pad_id": 0})
            self.encoder_fields = type("Fields", (), {"max_tokens": 40})

        def logits(self, ids: Any, lengths: Any, types: Any, precision: Any) -> np.ndarray:
            return plain_logits(self.model, ids, lengths)

        def forward_queue(self) -> DeviceQueue:
            return DeviceQueue(self.model, "cpu", segments=False)

    victim: Any = Victim()
    ids, lengths = rows(5, 12, padded=False)
    types, shapes = np.zeros(ids.shape, dtype=np.int8), Shapes()
    queued, direct = (
        Pool(victim, shapes, queued=way).logits(ids, lengths, types, Bucket(12))
        for way in (True, False)
    )
    assert np.array_equal(queued, direct)


def test_a_real_victim_has_a_queue_on_a_gpu_only(victim: Victim) -> None:
    assert victim.forward_queue() is None
    victim.device = "cuda:1"
    queue = victim.forward_queue()
    assert queue is not None
    assert queue.depth > 1
    victim.smoother = object()  # type: ignore[assignment]
    assert victim.forward_queue() is None


def test_answers_on_the_cpu_are_there_at_once() -> None:
    pending = PendingLogits(torch.ones(2, 2))
    assert pending.ready()
    assert pending.result().tolist() == [[1, 1], [1, 1]]
