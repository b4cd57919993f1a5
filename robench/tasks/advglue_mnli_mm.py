"""advglue-mnli-mm: 162 adversarial pairs of MNLI's mismatched part (Wang et al. 2021)."""

from __future__ import annotations

from robench.tasks.advglue_files import ENTAILMENT, AdvGlue
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS


@TASKS.register("advglue-mnli-mm")
class AdvGlueMnliMm(AdvGlue):
    """162 adversarial pairs of MNLI's mismatched part; a test set for victims of other tasks.

    Use it with ``--test advglue-mnli-mm`` and ``--task`` snli or hf:nyu-mll/glue/mnli.
    """

    name = "advglue-mnli-mm"
    set_name = "mnli-mm"
    config = "adv_mnli_mismatched"
    labels = ENTAILMENT
    columns = ("premise", "hypothesis")
    fields = ("premise", "hypothesis")
    attackable = "hypothesis"
    guard = Guard(
        (60, 45, 57),
        "20dd2a818b1d748b1bd88ca16750702718f4979a14f3c0baf4d56ed9fbd75dc6",
        "09bdf57c1cb451b79a",
    )
