"""advglue-sst2: 148 adversarial sentences from film reviews (Wang et al. 2021)."""

from __future__ import annotations

from robench.tasks.advglue_files import AdvGlue
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS


@TASKS.register("advglue-sst2")
class AdvGlueSst2(AdvGlue):
    """148 adversarial sentences from film reviews; a test set for victims of other tasks.

    Use it with ``--test advglue-sst2`` and ``--task`` sst2. See ``AdvGlue``.
    """

    name = "advglue-sst2"
    set_name = "sst2"
    config = "adv_sst2"
    labels = ("negative", "positive")
    columns = ("sentence",)
    fields = ("text",)
    attackable = "text"
    guard = Guard(
        (72, 76),
        "ba6ee4655403a813130179c6ba120c9afd8cfb8d828d220b728df8f34aaf7384",
        "63468a2a918877b0",
    )
