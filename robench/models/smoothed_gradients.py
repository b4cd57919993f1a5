"""The gradients of a smoothed victim: expectation over its random variants.

A white-box attack that looks at the classifier alone would attack something that is not the
victim. So each gradient here is that of the mean over random variants (expectation over
transformation, Athalye et al. 2018), of as many variants as the victim's answer has.

One part is left out. For smoothing over convex hulls, the mixtures of ``smoothed_mixture`` are
those of the words themselves, without the random points around them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from robench.models.batch import tokens_of
from robench.models.convex_hull import ascend, batch_of, weights_found
from robench.models.mixtures import PackedSubstitutes, blend, pack_substitutes
from robench.models.model_modes import evaluating, without_parameter_gradients
from robench.models.objectives import margins, objective_of
from robench.models.smoothed import mixture_noise
from robench.models.smoother import Smoother

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier
    from robench.models.gradient_query import GradientQuery
    from robench.models.hull_query import HullQuery


def mean_log_probs(logits: Tensor) -> Tensor:
    """Return the logarithm of the mean probabilities: ``(variants, classes) -> (1, classes)``."""
    return torch.logsumexp(log_softmax(logits.float(), -1), 0, keepdim=True) - log(len(logits))


def smoothed_mixture(
    model: TextClassifier, query: HullQuery, smoother: Smoother, device: str, *, segments: bool
) -> NDArray[np.float32]:
    """Find the mixture of one text that misleads a smoothed victim most.

    It is ``robench.models.convex_hull.worst_mixture``, but each step draws new variants of every
    word that is mixed, and follows the gradient of their mean.

    Returns:
        Weights ``(tokens, slots)`` in fp32.
    """
    batch = batch_of(query, device, segments=segments)
    packed = pack_substitutes(batch)
    generator = torch.Generator(device).manual_seed(query.seed)

    def search(mixture_logits: Tensor) -> Tensor:
        with without_parameter_gradients(model):
            mean = _SmoothedMixture(model, batch, packed, smoother, query)
            return mean.ascend(mixture_logits)

    weights = weights_found(search, batch, packed, generator)
    result: NDArray[np.float32] = weights[0].cpu().numpy()
    return result


class _SmoothedMixture:
    """The mean answer of a smoothed victim to a mixture, as a function of its weights."""

    def __init__(
        self,
        model: TextClassifier,
        batch: Batch,
        packed: PackedSubstitutes,
        smoother: Smoother,
        query: HullQuery,
    ) -> None:
        self._model, self._batch, self._packed, self._query = model, batch, packed, query
        self._smoother, self._text = smoother, np.asarray(query.ids)
        self._rows = packed.ids.cpu().numpy()
        self._rng = np.random.default_rng(query.seed)

    def answer(self, weights: Tensor | None) -> Tensor:
        """Return the mean's logarithm ``(1, classes)`` over new variants; None is the text.

        It is divided by the temperature.
        """
        draws = self._smoother.smoothing.draws
        drawn = self._smoother.redrawn(self._text, self._rows, self._rng, draws)
        tokens, mixed = len(self._text), []
        for rows in drawn:
            ids = torch.as_tensor(rows, device=self._packed.ids.device)
            with torch.no_grad():
                flat, vectors = replace(self._packed, ids=ids).vectors(self._model)
            own = flat[:tokens]
            if weights is not None:
                own = blend(own, vectors, weights, self._packed.positions)
            mixed.append(own)
        mask = self._batch.attention_mask.expand(len(mixed), -1)
        features = self._model.features_from_embeddings(torch.stack(mixed), mask)
        return mean_log_probs(self._model.classify(features)) / self._query.temperature

    def ascend(self, mixture_logits: Tensor) -> Tensor:
        """Return the weights ``(n, slots)`` that Adam finds."""
        query = self._query
        # The text's own answer is always computed, because each answer draws new variants.
        with torch.no_grad():
            clean = self.answer(None)
        return ascend(
            self.answer,
            objective_of(query.objective, self._batch.labels, lambda: clean),
            mixture_logits,
            self._packed,
            steps=query.steps,
            learning_rate=query.learning_rate,
        )


def smoothed_gradient(
    model: TextClassifier, query: GradientQuery, smoother: Smoother, device: str, *, segments: bool
) -> NDArray[np.float32]:
    """Return the gradient of the margin of a smoothed victim's answer, ``(tokens, word size)``.

    The variants are those that the victim answers from. The gradient is that of a change of the
    word vector at each position, in every variant that does not mask it.
    """
    smoothing = smoother.smoothing
    ids = np.asarray(query.ids, dtype=np.int64)[None]
    length = np.array([ids.shape[1]])
    drawn = islice(smoother.variants(ids, length, smoothing.seed), smoothing.draws)
    noise = torch.zeros((1, ids.shape[1], model.word_size), device=device, requires_grad=True)
    _, types = tokens_of(query, device, segments=segments)
    answers: list[Any] = []
    with (
        evaluating(model),
        torch.enable_grad(),
        torch.autocast(torch.device(device).type, enabled=False),
    ):
        for variants in drawn:
            tokens = torch.as_tensor(variants.ids, device=device)
            change = noise * (tokens != smoother.mask_id)[:, :, None]
            if variants.slots is not None:
                change = change + mixture_noise(model, variants).detach()
            mask = torch.ones_like(tokens)
            answers.append(model.classify(model.features_under_noise(change, tokens, mask, types)))
        labels = torch.tensor([query.label], device=device)
        margin = margins(mean_log_probs(torch.cat(answers)), labels)[0]
        (gradient,) = torch.autograd.grad(margin, [noise])
    result: NDArray[np.float32] = gradient[0].cpu().numpy()
    return result
