"""Standard fine-tuning: mean cross-entropy on the texts as they are, every parameter trained."""

from __future__ import annotations

from robench import DEFENSES, Defense


@DEFENSES.register("standard")
class Standard(Defense):
    """The paper's first row (RIFT paper, section 3.2): start from the pre-trained weights and fine-tune the whole model.

    Overrides no hook. Like every row it is selected by dev accuracy under the convex-hull attack (appendix A.1).
    """

    paper = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, NAACL 2019"
    deviations = (
        "The learning rate rises over the first steps and falls linearly to zero; RIFT's release raises it epoch by epoch (x0.1, x0.55, x1) and keeps it.",
        "The epoch is chosen on a dev split carved from train; RIFT's release reports maxima over epochs on the test set.",
    )
    task_defaults = {  # noqa: RUF012
        "imdb": {"epochs": 20, "batch_size": 32},
        "snli": {"epochs": 20, "batch_size": 120},
    }
