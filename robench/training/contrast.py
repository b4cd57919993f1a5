"""The contrastive bound on mutual information, for defenses and for the training log."""

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
    """Return Eq. 10 of the RIFT paper for one class, in nats; it is never below -log N.

    It is minus a lower bound of I(S; T | Y = y), if pairs are drawn independently within the
    class. Batches hold texts of similar length, so pairs are drawn given the length. The bounded
    quantity is then close to I(S; T | Y = y, length), and features that only tell lengths apart
    gain nothing. It is computed in fp32, also where the features come from a bf16 training.

    Args:
        students: unit vectors ``(n, d)``.
        teachers: unit vectors ``(N, d)``, N >= n. One belongs to each student; the others are
            further negatives.
        temperature: tau.
        negatives: what the softmax runs over: the teachers t_j for each student s_i, as in Eq. 10,
            or the students for each teacher, as in the release (where N = n).
        own: ``(n,)``, which teacher belongs to each student; by default the first n.

    Returns:
        ``mean_i -log softmax_j(<s_i, t_j> / tau)_own(i) - log N``; 0 without students.
    """
    # Autocast would round the products to bf16, and a small temperature enlarges the error.
    exact = torch.promote_types(students.dtype, torch.float32)
    with torch.autocast(students.device.type, enabled=False):
        scores = students.to(exact) @ teachers.to(exact).T / temperature
    if negatives == "students":
        scores = scores.T
    if own is None:
        own = torch.arange(len(scores), device=scores.device)
    if not len(own):
        # The sum of nothing is 0, but it has a gradient, which the optimizer needs.
        return scores.sum()
    # Filled on the device: a number from main memory would make a GPU wait.
    count = torch.full((), float(scores.shape[1]), device=scores.device)
    return cross_entropy(scores, own) - torch.log(count)
