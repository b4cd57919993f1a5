"""advglue-qnli: 148 adversarial pairs of a question and a sentence (Wang et al. 2021)."""

from __future__ import annotations

from robench.tasks.advglue_files import AdvGlue
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS


@TASKS.register("advglue-qnli")
class AdvGlueQnli(AdvGlue):
    """148 adversarial pairs of a question and a sentence; a test set for victims of other tasks.

    Use it with ``--test advglue-qnli`` and ``--task`` hf:nyu-mll/glue/qnli. See ``AdvGlue``.
    """

    name = "advglue-qnli"
    set_name = "qnli"
    config = "adv_qnli"
    labels = ("entailment", "not_entailment")
    columns = ("question", "sentence")
    fields = ("question", "sentence")
    attackable = "sentence"
    guard = Guard(
        (74, 74),
        "a5db187f9f93f4b33e3bf3e529cfa5f2f4314f290716b88251cd86dee8aabb98",
        "33abfbd0c3706dc0",
    )
