"""advglue-mnli: 121 adversarial pairs of MNLI's matched part (Wang et al. 2021)."""

from __future__ import annotations

from robench.tasks.advglue_files import ENTAILMENT, AdvGlue
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS


@TASKS.register("advglue-mnli")
class AdvGlueMnli(AdvGlue):
    """121 adversarial pairs of MNLI's matched part; a test set for victims of other tasks.

    Use it with ``--test advglue-mnli`` and ``--task`` snli or hf:nyu-mll/glue/mnli.
    """

    name = "advglue-mnli"
    set_name = "mnli"
    config = "adv_mnli"
    labels = ENTAILMENT
    columns = ("premise", "hypothesis")
    fields = ("premise", "hypothesis")
    attackable = "hypothesis"
    guard = Guard(
        (32, 39, 50),
        "7f130324b2634be650fc30ec729731fa09e0e341b0a67a353a2b4822ea93912a",
        "b9af8eabbb1ff1",
    )
