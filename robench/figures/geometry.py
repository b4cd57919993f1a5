"""Draw the geometry of learned features (Figure 3 of the RIFT paper).

The figure shows t-SNE of the features of the same texts before and after fine-tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from robench._base.errors import UsageError
from robench._base.escaping import figure_text
from robench.figures.drawing import new_figure, require
from robench.figures.geometry_points import GeometryPoints
from robench.models.classifier import TextClassifier
from robench.models.encoders import find_encoder, fingerprint, load_encoder
from robench.training.data import EncodedExamples, SubstituteTable, encode_examples
from robench.training.runtime import seed_everything
from robench.training.selection import compute_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from robench.models.victim import Victim
    from robench.tasks.example import Example

BATCH_SIZE = 64
"""Texts per forward pass."""

MARKERS = "^sovDP*X"
"""Markers of the classes. With more classes than markers, they repeat."""

INNER_RADIUS = 0.9
"""Radius of the teachers' circle, as in the paper. The students' radius is 1."""


@dataclass(frozen=True)
class Geometry:
    """Features of the same texts before and after fine-tuning.

    Attributes:
        labels: gold labels of the texts, ``(texts,)``.
        before: features of the pre-trained encoder, ``(texts, size)``, one array per victim.
        after: name of a victim -> its features, ``(texts, size)``.
    """

    labels: NDArray[np.int64]
    before: Sequence[NDArray[np.float32]]
    after: dict[str, NDArray[np.float32]]


def measure(victims: dict[str, Victim], encoder: str, examples: Sequence[Example]) -> Geometry:
    """Compute the features of ``examples`` for every victim and its pre-trained encoder.

    Args:
        victims: name -> victim. They share the task, the encoder and the protocol.
        encoder: name, hub id or folder of the encoder they were fine-tuned from.
        examples: the texts.

    Raises:
        UsageError: the victims do not share the task, the encoder or the protocol, or they were
            fine-tuned from another encoder.
    """
    cards = [victim.card for victim in victims.values()]
    for name in ("task", "encoder", "protocol"):
        values = sorted({str(card[name]) for card in cards})
        if len(values) > 1:
            raise UsageError(
                f"The victims do not share one {name}: {' and '.join(values)}. "
                "Draw each of them separately."
            )
    digest = fingerprint(find_encoder(encoder))
    if any(card["ingredients"]["encoder_sha256"] != digest for card in cards):
        raise UsageError(
            f"Encoder '{encoder}' is not the one that the victims were fine-tuned from. Name that "
            "one with --encoder."
        )
    before: list[NDArray[np.float32]] = []
    after: dict[str, NDArray[np.float32]] = {}
    for name, victim in victims.items():
        encoded = _encode(victim, examples)
        before.append(_features(pretrained(victim, encoder), encoded, victim.device))
        after[name] = _features(victim.model, encoded, victim.device)
    return Geometry(np.asarray([example.label for example in examples]), before, after)


def pretrained(victim: Victim, encoder: str) -> TextClassifier:
    """Return the model as it was before the first step of the victim's training."""
    # Some encoders come without a pooler, and training then draws one at random. The same seed
    # gives the same pooler here (see ``set_up_training``).
    seed_everything(victim.card["seed"], "weights")
    return TextClassifier(load_encoder(find_encoder(encoder)), len(victim.labels)).to(victim.device)


def _encode(victim: Victim, examples: Sequence[Example]) -> EncodedExamples:
    no_substitutes = SubstituteTable(victim.table, None, victim.protocol.lookup)
    return encode_examples(
        examples,
        victim.encoder_fields,
        no_substitutes,
        victim.attackable,
        segments=victim.protocol.pair_segments,
    )


def _features(model: TextClassifier, encoded: EncodedExamples, device: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = compute_features(model, encoded, BATCH_SIZE, device).numpy()
    return found


def scatter(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Project features to the plane by t-SNE, ``(n, size) -> (n, 2)``.

    The projection starts from the principal components. The same seed gives the same result.

    Raises:
        UsageError: there are fewer than 4 texts, or scikit-learn is missing.
    """
    require("sklearn")
    from sklearn.manifold import TSNE

    if len(features) < 4:
        raise UsageError(f"t-SNE needs at least 4 texts, got {len(features)}.")
    # 30 is the default of scikit-learn. The perplexity must be below the number of texts.
    perplexity = min(30.0, (len(features) - 1) / 3)
    flat: NDArray[np.float32] = TSNE(
        2, perplexity=perplexity, init="pca", random_state=seed
    ).fit_transform(features)
    return flat


def on_circles(
    students: NDArray[np.float32], teachers: NDArray[np.float32], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Project the features of students and teachers onto two circles.

    Both sets are centred and normalised, and projected together by t-SNE. Each point is then
    moved along its radius.

    Args:
        students: features after fine-tuning, ``(n, size)``.
        teachers: features before fine-tuning, ``(n, size)``.
        seed: seed of t-SNE.

    Returns:
        Points of the students at radius 1 and of the teachers at radius 0.9, ``(n, 2)`` each.
    """
    both = np.concatenate([_normalised(students), _normalised(teachers)])
    points = scatter(both, seed)
    points = points - points.mean(0)
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return points[: len(students)], INNER_RADIUS * points[len(students) :]


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features with mean 0 and rows of length 1."""
    centred = Tensor(features - features.mean(0))
    rows: NDArray[np.float32] = torch.nn.functional.normalize(centred, dim=-1).numpy()
    return rows


def points_of(
    geometry: Geometry, classes: Sequence[str], seed: int, *, task: str, encoder: str, split: str
) -> GeometryPoints:
    """Return what ``draw`` draws, as numbers with four digits.

    Args:
        geometry: the features.
        classes: names of the classes.
        seed: seed of t-SNE.
        task, encoder, split: where victims and texts come from.

    Raises:
        UsageError: there are fewer than 4 texts, or more than a page can draw.
    """
    before = scatter(geometry.before[0], seed)
    victims = []
    for teachers, (name, features) in zip(geometry.before, geometry.after.items(), strict=True):
        outer, inner = on_circles(features, teachers, seed)
        parts = {"after": scatter(features, seed), "outer": outer, "inner": inner}
        victims.append({"name": name, **{part: _plain(each) for part, each in parts.items()}})
    try:
        return GeometryPoints.model_validate(
            {
                "task": task,
                "encoder": encoder,
                "split": split,
                "seed": seed,
                "classes": tuple(classes),
                "labels": tuple(int(label) for label in geometry.labels),
                "before": _plain(before),
                "victims": tuple(victims),
            }
        )
    except ValidationError as error:
        raise UsageError(
            f"These points make no page ({error.errors()[0]['msg']}). Name fewer texts with "
            "--examples, or fewer victims."
        ) from error


def _plain(points: NDArray[np.float32]) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in points)


def draw(geometry: Geometry, classes: Sequence[str], seed: int) -> Figure:
    """Return the figure of ``geometry``.

    The first panel shows the pre-trained features by class. Each victim has two more panels: its
    features by class, and its features on a circle around the pre-trained ones, with one colour
    per text.

    In the paper the circles show the projections of the contrastive loss. A victim does not keep
    those, so the circles show the features themselves.

    Args:
        geometry: the features.
        classes: names of the classes.
        seed: seed of t-SNE.
    """
    figure, panels = new_figure(1 + 2 * len(geometry.after))
    _draw_by_class(panels[0], scatter(geometry.before[0], seed), geometry.labels, classes)
    panels[0].set_title("before fine-tuning", fontsize="medium")
    panels[0].legend(fontsize="small")
    for number, (name, features) in enumerate(geometry.after.items()):
        plain, circles = panels[1 + 2 * number : 3 + 2 * number]
        _draw_by_class(plain, scatter(features, seed), geometry.labels, classes)
        plain.set_title(figure_text(name), fontsize="medium")
        outer, inner = on_circles(features, geometry.before[number], seed)
        _draw_by_text(circles, outer, inner, geometry.labels)
        circles.set_title("after (outside), before (inside)", fontsize="medium")
    for panel in panels:
        panel.set_xticks([])
        panel.set_yticks([])
    return figure


def _draw_by_class(
    panel: Axes, points: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str]
) -> None:
    for label, name in enumerate(classes):
        own = points[labels == label]
        panel.scatter(
            own[:, 0],
            own[:, 1],
            s=8,
            marker=MARKERS[label % len(MARKERS)],
            label=figure_text(name),
        )


def _draw_by_text(
    panel: Axes, outer: NDArray[np.float32], inner: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    """Draw both circles. A text has the same colour on both of them."""
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
