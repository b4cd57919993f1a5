"""The lean copy of an encoder: it agrees with the encoder, or it is not used."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from victim_cases import batch, classifier

from robench import DEFENSES
from robench.models import convex_hull, frozen_encoder
from robench.models.classifier import TextClassifier
from robench.models.convex_hull import maximise
from robench.models.frozen_encoder import (
    FrozenEncoder,
    FrozenTexts,
    frozen_features,
    frozen_texts,
)
from robench.models.model_modes import without_parameter_gradients
from robench.models.row_attention import (
    PaddedAttention,
    RowAttention,
    RowLayout,
    packs,
    row_attention,
)

KNOWN = ("bert", "roberta", "distilbert", "electra")


class EachRow:
    """Attention of one text after the other, which needs no padding."""

    def all_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        assert layout.bounds is not None
        ends = layout.bounds.tolist()
        parts = [slice(start, end) for start, end in pairwise(ends)]
        return torch.cat([self._one(query[part], key[part], value[part]) for part in parts])

    def first_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        assert layout.bounds is not None
        ends = layout.bounds.tolist()
        parts = [slice(start, end) for start, end in pairwise(ends)]
        return torch.cat(
            [
                self._one(query[row : row + 1], key[part], value[part])
                for row, part in enumerate(parts)
            ]
        )

    @staticmethod
    def _one(*parts: Tensor) -> Tensor:
        query, key, value = (part.transpose(0, 1)[None] for part in parts)
        return scaled_dot_product_attention(query, key, value)[0].transpose(0, 1)


@pytest.fixture
def exact_copy(monkeypatch: pytest.MonkeyPatch) -> list[FrozenTexts]:
    """Make the search use a copy in fp32, on the CPU too, and collect what it used."""
    used: list[FrozenTexts] = []

    def texts(model: TextClassifier, made: object) -> FrozenTexts | None:
        found = frozen_texts(model, made)  # type: ignore[arg-type]
        used.extend([] if found is None else [found])
        return found

    monkeypatch.setattr(frozen_encoder, "_wanted", lambda device: True)
    monkeypatch.setattr(
        frozen_encoder, "frozen_encoder", lambda model: FrozenEncoder(model, torch.float32)
    )
    monkeypatch.setattr(convex_hull, "frozen_texts", texts)
    return used


@pytest.mark.parametrize("family", KNOWN)
def test_the_search_finds_the_same_mixtures_through_the_copy(
    family: str, exact_copy: list[FrozenTexts], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, texts = classifier(family), batch()
    through_copy = maximise(model, texts, steps=3, generator=torch.Generator().manual_seed(1))
    assert len(exact_copy) == 1
    monkeypatch.setattr(frozen_encoder, "_wanted", lambda device: False)
    plain = maximise(model, texts, steps=3, generator=torch.Generator().manual_seed(1))
    assert len(exact_copy) == 1
    torch.testing.assert_close(through_copy, plain, atol=2e-3, rtol=2e-3)


def test_the_search_finds_the_same_mixtures_without_padding(
    exact_copy: list[FrozenTexts], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, texts = classifier(), batch(rows=5, tokens=11)
    padded = maximise(model, texts, steps=3, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(frozen_encoder, "packs", lambda device: True)
    monkeypatch.setattr(frozen_encoder, "row_attention", lambda layout: EachRow())
    packed = maximise(model, texts, steps=3, generator=torch.Generator().manual_seed(1))
    before, after = (each.layout for each in exact_copy)
    assert (before.kept, after.mask) == (None, None)
    assert after.kept is not None
    assert len(after.kept) == int(texts.attention_mask.sum()) < texts.attention_mask.numel()
    torch.testing.assert_close(packed, padded, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("family", KNOWN)
def test_known_encoders_have_a_copy_in_bf16(family: str) -> None:
    model, texts = classifier(family).eval(), batch()
    copy = frozen_encoder.frozen_encoder(model)
    assert copy is not None
    assert copy.dtype == torch.bfloat16
    assert frozen_encoder.frozen_encoder(model) is copy
    layout = RowLayout.padded(texts.attention_mask, texts.lengths)
    with torch.no_grad():
        entered = model.embed(texts.input_ids, None, texts.attention_mask)
        own = model.classify(model.features_from_embeddings(entered, texts.attention_mask))
        found = copy.logits(entered.flatten(0, 1), layout, PaddedAttention())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, own, atol=0.3, rtol=0.1)


@pytest.mark.parametrize("family", ["albert", "deberta", "deberta-v2"])
def test_other_encoders_have_none(family: str) -> None:
    assert frozen_encoder.frozen_encoder(classifier(family).eval()) is None


def test_an_encoder_that_only_looks_known_has_none() -> None:
    class Doubled(nn.Module):
        def __init__(self, inside: nn.Module) -> None:
            super().__init__()
            self.inside = inside

        def forward(self, features: Tensor) -> Tensor:
            doubled: Tensor = 2 * self.inside(features)
            return doubled

    model = classifier().eval()
    model.encoder.pooler.activation = Doubled(model.encoder.pooler.activation)
    assert frozen_encoder.frozen_encoder(model) is None


def test_the_copy_follows_the_weights_and_leaves_no_gradients() -> None:
    model, texts = classifier().eval(), batch()
    layout = RowLayout.padded(texts.attention_mask, texts.lengths)
    entered = model.embed(texts.input_ids).flatten(0, 1).detach().requires_grad_()
    answers = []
    for _ in range(2):
        copy = frozen_encoder.frozen_encoder(model)
        assert copy is not None
        answers.append(copy.logits(entered, layout, PaddedAttention()))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)
    assert not torch.allclose(answers[0], answers[1])
    answers[1].sum().backward()
    assert entered.grad is not None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_copy_holds_the_weights_themselves_under_mixout() -> None:
    model = classifier()
    plain = FrozenEncoder(model.eval(), torch.float32)
    mixout = DEFENSES.get("mixout")
    defense = mixout(mixout.Options())
    defense.prepare(model.train())
    texts = batch()
    layout = RowLayout.padded(texts.attention_mask, texts.lengths)
    with torch.no_grad(), without_parameter_gradients(model):
        entered = model.embed(texts.input_ids).flatten(0, 1)
        mixed = FrozenEncoder(model, torch.float32).logits(entered, layout, PaddedAttention())
    torch.testing.assert_close(mixed, plain.logits(entered, layout, PaddedAttention()))


@pytest.mark.parametrize("precise", [True, False])
def test_a_cpu_uses_no_copy(precise: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        assert frozen_texts(classifier().eval(), batch()) is None


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.usefixtures("exact_copy")
def test_a_teachers_features_are_the_same_through_the_copy(family: str) -> None:
    model, texts = classifier(family).eval(), batch()
    found = frozen_features(model, texts)
    assert found is not None
    assert not found.requires_grad
    with torch.no_grad():
        own = model.features(texts.input_ids, texts.attention_mask, texts.token_type_ids)
    torch.testing.assert_close(found, own, atol=1e-4, rtol=1e-3)


def test_a_teacher_on_a_cpu_has_no_copy() -> None:
    assert frozen_features(classifier().eval(), batch()) is None


def test_a_cpu_attends_with_padding() -> None:
    assert not packs(torch.device("cpu"))


def test_the_check_of_attention_without_padding_compares_answers_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from robench.models import row_attention as module

    def trusted(attention: RowAttention) -> bool:
        monkeypatch.setattr(
            module,
            "row_attention",
            lambda layout: PaddedAttention() if layout.bounds is None else attention,
        )
        return module._same_without_padding(torch.device("cpu"))

    class Halved(EachRow):
        @staticmethod
        def _one(*parts: Tensor) -> Tensor:
            return EachRow._one(parts[0], parts[1], parts[2] / 2)

    class WithoutGradient(EachRow):
        @staticmethod
        def _one(*parts: Tensor) -> Tensor:
            return EachRow._one(parts[0], parts[1], parts[2].detach() + 0 * parts[2])

    assert trusted(EachRow())
    assert not trusted(Halved())
    assert not trusted(WithoutGradient())


def test_layouts_say_where_each_text_begins() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    padded, packed = RowLayout.padded(mask, (3, 1)), RowLayout.packed(mask, (3, 1))
    assert padded.first.tolist() == [0, 3]
    assert padded.mask is not None
    assert padded.mask.shape == (2, 1, 1, 3)
    assert isinstance(row_attention(padded), PaddedAttention)
    assert packed.first.tolist() == [0, 3]
    assert packed.bounds is not None
    assert packed.bounds.tolist() == [0, 3, 4]
    assert packed.kept is not None
    assert packed.kept.tolist() == [0, 1, 2, 3]
    assert packed.places(torch.tensor([3, 1]), 6).tolist() == [3, 1]
    assert padded.places(torch.tensor([3, 1]), 6).tolist() == [3, 1]
    longer = RowLayout.packed(torch.tensor([[1, 0, 0], [1, 1, 0]]), (1, 2))
    assert longer.places(torch.tensor([0, 3, 4]), 6).tolist() == [0, 1, 2]
    assert RowLayout.padded(torch.ones(2, 3), (3, 3)).mask is None
    added = padded.adding(torch.bfloat16).mask
    assert added is not None
    assert added[1, 0, 0].tolist() == [0, -torch.inf, -torch.inf]
    assert packed.adding(torch.bfloat16) is packed
