"""The contrastive bound of mutual information, for defenses and for the log of a training."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Negatives = Literal["teachers", "students"]


def contrastive_term(
    students: Tensor,
    teachers: Tensor,
    temperature: float,
    negatives: Negatives = "teachers",
    own: Tensor | None = None,
) -> Tensor:
    """Eq. 10 for one class: minus a lower bound of I(S; T | Y = y), in nats; never below -log N.

    That holds for pairs drawn independently within the class. Where batches hold texts of like length, pairs are rather drawn given the length:
    what is bounded is then about I(S; T | Y = y, length), and features win nothing by telling lengths apart.

    Args:
        students: unit vectors ``(n, d)``.
        teachers: unit vectors ``(N, d)``, N >= n, of which one belongs to each student; the rest are further negatives.
        temperature: tau.
        negatives: what the softmax runs over: the teachers t_j for each student s_i, as Eq. 10 says, or the students for each teacher, as
            the release does (N = n).
        own: ``(n,)`` which teacher belongs to each student; the first n unless given.

    Returns:
        ``mean_i -log softmax_j(<s_i, t_j> / tau)_own(i) - log N``; 0 without students.
    """
    scores = students @ teachers.T / temperature
    if negatives == "students":
        scores = scores.T
    if own is None:
        own = torch.arange(len(scores), device=scores.device)
    if not len(own):
        return scores.sum()  # with a gradient, of 0: whoever waits for one gets it
    return cross_entropy(scores, own) - torch.log(
        torch.tensor(float(scores.shape[1]), device=scores.device)
    )
