"""advglue-qqp: 78 adversarial pairs of questions (Wang et al. 2021)."""

from __future__ import annotations

from robench.tasks.advglue_files import AdvGlue
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS


@TASKS.register("advglue-qqp")
class AdvGlueQqp(AdvGlue):
    """78 adversarial pairs of questions; a test set for victims of other tasks.

    Use it with ``--test advglue-qqp`` and ``--task`` hf:nyu-mll/glue/qqp. See ``AdvGlue``.
    """

    name = "advglue-qqp"
    set_name = "qqp"
    config = "adv_qqp"
    labels = ("not_duplicate", "duplicate")
    columns = ("question1", "question2")
    fields = ("question1", "question2")
    attackable = "question2"
    guard = Guard(
        (46, 32),
        "9bb4aff7dafd31478891567a4f49dbb353a0705f9d40a884f582262f5bb19fc2",
        "391e38c9",
    )
