"""advglue-rte: 81 adversarial pairs of RTE (Wang et al. 2021)."""

from __future__ import annotations

from robench.tasks.advglue_files import AdvGlue
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS


@TASKS.register("advglue-rte")
class AdvGlueRte(AdvGlue):
    """81 adversarial pairs of RTE; a test set for victims of other tasks.

    Use it with ``--test advglue-rte`` and ``--task`` hf:nyu-mll/glue/rte. See ``AdvGlue``.
    """

    name = "advglue-rte"
    set_name = "rte"
    config = "adv_rte"
    labels = ("entailment", "not_entailment")
    columns = ("sentence1", "sentence2")
    fields = ("sentence1", "sentence2")
    attackable = "sentence2"
    guard = Guard(
        (35, 46),
        "471d1537e31aa765482b4510dcea4ccc6c23d1fbdd58bfb644d15e9a4afc5084",
        "a8bfa9b1ce",
    )
