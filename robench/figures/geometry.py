"""The geometry of learned features (Figure 3 of the RIFT paper): t-SNE of the same texts before and after fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench._base.errors import UsageError
from robench.figures.drawing import new_figure, require
from robench.models.classifier import TextClassifier
from robench.models.encoders import find_encoder, fingerprint, load_encoder
from robench.training.data import EncodedExamples, SubstituteTable, encode_examples
from robench.training.runtime import seed_everything
from robench.training.selection import compute_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from robench.models.victim import Victim
    from robench.tasks.base import Example

AT_ONCE = 64
MARKERS = "^sovDP*X"
"""Of the classes; there are as many as tasks have labels, and they begin again where there are more."""
INNER = 0.9
"""Radius of the teacher's circle, as in the paper; the student's is 1."""


@dataclass(frozen=True)
class Geometry:
    """Features of the same texts.

    Attributes:
        labels: ``(texts,)``.
        before: of the pre-trained encoders, ``(texts, size)``, one a victim.
        after: of the victims, by name.
    """

    labels: NDArray[np.int64]
    before: Sequence[NDArray[np.float32]]
    after: dict[str, NDArray[np.float32]]


def measure(victims: dict[str, Victim], encoder: str, examples: Sequence[Example]) -> Geometry:
    """Ask every victim, and the encoder it was fine-tuned from, for the features of ``examples``.

    Raises:
        UsageError: the victims are of several tasks or encoders, or ``encoder`` is not the one they come from.
    """
    cards = [victim.card for victim in victims.values()]
    for name in ("task", "encoder", "protocol"):
        if len({card[name] for card in cards}) > 1:
            raise UsageError(
                f"The victims do not share one {name}: {' and '.join(sorted({str(card[name]) for card in cards}))}. Draw each by itself."
            )
    digest = fingerprint(find_encoder(encoder))
    if any(card["ingredients"]["encoder_sha256"] != digest for card in cards):
        raise UsageError(
            f"Encoder '{encoder}' is not the one that the victims were fine-tuned from. Name that one with --encoder."
        )
    before, after = [], {}
    for name, victim in victims.items():
        encoded = _encode(victim, examples)
        before.append(_features(pretrained(victim, encoder), encoded, victim.device))
        after[name] = _features(victim.model, encoded, victim.device)
    return Geometry(np.asarray([example.label for example in examples]), before, after)


def pretrained(victim: Victim, encoder: str) -> TextClassifier:
    """The model before the first step of the victim's training, with the same pooler where that was drawn anew (as ``set_up_training`` draws it)."""
    seed_everything(victim.card["seed"], "weights")
    return TextClassifier(load_encoder(find_encoder(encoder)), len(victim.labels)).to(victim.device)


def _encode(victim: Victim, examples: Sequence[Example]) -> EncodedExamples:
    nothing = SubstituteTable(victim.table, None, victim.protocol.lookup)
    return encode_examples(
        examples,
        victim.encoder_fields,
        nothing,
        victim.attackable,
        segments=victim.protocol.pair_segments,
    )


def _features(model: TextClassifier, encoded: EncodedExamples, device: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = compute_features(model, encoded, AT_ONCE, device).numpy()
    return found


def scatter(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """t-SNE: ``(n, size) -> (n, 2)``, from the principal components, the same for the same seed."""
    require("sklearn")
    from sklearn.manifold import TSNE

    if len(features) < 4:
        raise UsageError(f"t-SNE needs at least 4 texts, got {len(features)}.")
    perplexity = min(30.0, (len(features) - 1) / 3)
    flat: NDArray[np.float32] = TSNE(
        2, perplexity=perplexity, init="pca", random_state=seed
    ).fit_transform(features)
    return flat


def on_circles(
    students: NDArray[np.float32], teachers: NDArray[np.float32], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both on one circle: each side centred and normalised, t-SNE of both together, each point moved out to radius 1 (students) or 0.9 (teachers)."""
    sides = [
        torch.nn.functional.normalize(Tensor(side - side.mean(0)), dim=-1).numpy()
        for side in (students, teachers)
    ]
    flat = scatter(np.concatenate(sides), seed)
    flat = flat - flat.mean(0)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return flat[: len(students)], INNER * flat[len(students) :]


def draw(geometry: Geometry, classes: Sequence[str], seed: int) -> Figure:
    """The pre-trained features by class; then for each victim its features by class, and beside the pre-trained ones, a colour a text.

    In the paper the circles show projections that were trained with the contrast; a victim does not keep those, so here they are the features themselves.
    """
    figure, panels = new_figure(1 + 2 * len(geometry.after))
    _by_class(panels[0], scatter(geometry.before[0], seed), geometry.labels, classes)
    panels[0].set_title("before fine-tuning", fontsize="medium")
    panels[0].legend(fontsize="small")
    for number, (name, features) in enumerate(geometry.after.items()):
        plain, circles = panels[1 + 2 * number : 3 + 2 * number]
        _by_class(plain, scatter(features, seed), geometry.labels, classes)
        plain.set_title(name, fontsize="medium")
        outer, inner = on_circles(features, geometry.before[number], seed)
        _by_text(circles, outer, inner, geometry.labels)
        circles.set_title("after (outside), before (inside)", fontsize="medium")
    for panel in panels:
        panel.set_xticks([])
        panel.set_yticks([])
    return figure


def _by_class(
    panel: Axes, points: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str]
) -> None:
    for label, name in enumerate(classes):
        own = points[labels == label]
        panel.scatter(own[:, 0], own[:, 1], s=8, marker=MARKERS[label % len(MARKERS)], label=name)


def _by_text(
    panel: Axes, outer: NDArray[np.float32], inner: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    """A text has the same colour on both circles."""
    colours: NDArray[Any] = np.arange(len(labels)) / max(1, len(labels) - 1)
    for points in (outer, inner):
        for label in np.unique(labels):
            own = labels == label
            panel.scatter(
                points[own, 0],
                points[own, 1],
                s=8,
                c=colours[own],
                cmap="hsv",
                vmin=0,
                vmax=1,
                marker=MARKERS[label % len(MARKERS)],
            )
    panel.set_aspect("equal")
