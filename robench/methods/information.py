"""The information term of defenses that keep the pre-trained encoder's information.

It is that of the RIFT paper, Sections 2.3 to 2.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from robench._base.errors import UsageError
from robench.models.frozen_encoder import frozen_features
from robench.models.moving import on_device
from robench.plugins.options import TrainingOptions
from robench.training.contrast import Negatives, contrastive_term

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier


class InformationOptions(TrainingOptions):
    """Options of every defense that keeps the pre-trained encoder's information.

    The defaults are the RIFT paper's for IMDB (appendix A.1).
    """

    alpha: float = Field(0.1, ge=0, description="Weight of the contrastive term; 0 leaves it out.")
    tau: float = Field(0.2, gt=0, description="Temperature of the contrastive term.")
    conditional: bool = Field(
        True,
        description="Contrast inside each class, I(S; T | Y); "
        "false contrasts over all classes, I(S; T) of Table 3.",
    )
    negatives: Negatives = Field(
        "teachers", description="What the contrastive softmax runs over: Eq. 10 or the release."
    )
    memory: int = Field(
        0,
        ge=0,
        description="Teacher features kept from earlier steps of the epoch, "
        "as further negatives of each class.",
        json_schema_extra={"unit": "examples"},
    )
    projection_hidden: int = Field(512, ge=1, description="Hidden width of the projection heads.")
    projection_size: int = Field(256, ge=1, description="Width of the projected features.")

    @field_validator("memory")
    @classmethod
    def _teachers_only(cls, value: int, info: ValidationInfo) -> int:
        if value and info.data.get("negatives") == "students":
            raise ValueError(
                "holds teachers, which are not used as negatives with negatives=students; "
                "set it to 0 there"
            )
        return value


class ProjectionHeads(nn.Module):
    """One projection to unit vectors for each class, the ``g_y`` of Section 2.3.

    Each is Linear-ReLU-Linear with an L2-normalised result, as in the release.

    Args:
        size: width of the features.
        classes: number of projections.
        hidden: hidden width.
        out: width of the projected vectors.
    """

    def __init__(self, size: int, classes: int, hidden: int, out: int) -> None:
        super().__init__()
        self.by_class = nn.ModuleList(
            nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, out))
            for _ in range(classes)
        )

    def forward(self, features: Tensor, label: int) -> Tensor:
        """Project ``(n, size)`` with the MLP of class ``label`` to unit vectors ``(n, out)``."""
        return normalize(self.by_class[label](features).float(), dim=-1)


class InformationTerm:
    """The term ``L_info`` (Lemma 1) or, with adversarial features, ``L_r-info`` (Eq. 10).

    The teacher is a frozen copy of the model before the first step, in eval mode. It reads only
    clean texts.

    The memory allows a larger N without larger batches, which Section 3.5 leaves for future work.
    It holds the teacher's features before projection, so they never become stale. It starts empty
    in every epoch, so no text is its own negative.
    """

    def __init__(self, model: TextClassifier, options: InformationOptions) -> None:
        self.options = options
        self.teacher = deepcopy(model).eval().requires_grad_(False)
        shape = (
            model.feature_size,
            model.classes if options.conditional else 1,
            options.projection_hidden,
            options.projection_size,
        )
        device = next(model.parameters()).device
        self.student_heads = ProjectionHeads(*shape).to(device)
        self.teacher_heads = ProjectionHeads(*shape).to(device)
        self._memory: dict[int, Tensor] = {}

    def modules(self) -> tuple[nn.Module, nn.Module]:
        """Return the projection heads of student and teacher; both are trained (phi in Eq. 11)."""
        return self.student_heads, self.teacher_heads

    def clear_memory(self) -> None:
        """Empty the memory; to be called at the start of each epoch."""
        self._memory.clear()

    def __call__(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the contrast of student and teacher features: the mean over the batch's classes.

        A process with a share of a batch contrasts its students with the teacher's features of
        the whole batch. It computes these itself: that is one forward pass beside about thirty in
        a step, and nothing has to be sent. The mean of the processes' terms, weighted by their
        rows, is the term of the whole batch.

        Args:
            features: the student's features, ``(batch, size)``.
            batch: the batch, or a share of one.

        Raises:
            UsageError: ``negatives=students`` on a share, which lacks the other students.
        """
        whole = batch.whole or batch
        if batch.whole is not None and self.options.negatives == "students":
            raise UsageError(
                "negatives=students trains in one process only: a text's negatives are spread over "
                "all processes. Start robench without a launcher."
            )
        teacher = frozen_features(self.teacher, whole)
        if teacher is None:
            with torch.no_grad():
                teacher = self.teacher.features(
                    whole.input_ids, whole.attention_mask, whole.token_type_ids
                )
        terms = []
        for group, rows in self._groups(whole):
            known = torch.cat([teacher[rows], self._memory.get(group, teacher[:0])])
            if batch.rows is None:
                mine, own = rows, torch.arange(len(rows), device=rows.device)
            else:
                mine, own = (batch.rows[:, None] == rows).nonzero(as_tuple=True)
            students = self.student_heads(features[mine], group)
            teachers = self.teacher_heads(known, group)
            # The weight of this share of the group; it is 1 where the batch is not shared.
            part = len(own) * len(whole.labels) / (len(features) * len(rows))
            terms.append(
                part
                * contrastive_term(
                    students, teachers, self.options.tau, self.options.negatives, own
                )
            )
            self._memory[group] = known[: self.options.memory]  # the newest come first
        return torch.stack(terms).mean()

    def _groups(self, batch: Batch) -> Iterator[tuple[int, Tensor]]:
        """Yield the number and the rows of each group in which features are contrasted."""
        device = batch.labels.device
        if not self.options.conditional:
            yield 0, torch.arange(len(batch.labels), device=device)
            return
        labels = batch.on_host("labels")
        for label in np.unique(labels).tolist():
            rows = np.flatnonzero(labels == label)
            yield label, on_device(torch.from_numpy(rows), device)
