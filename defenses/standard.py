"""Standard fine-tuning: mean cross-entropy on the clean texts, every parameter trained."""

from __future__ import annotations

from robench import DEFENSES, Defense
from robench.methods import LOOP_DEVIATIONS, RANDOM_BATCHES_DEVIATION


@DEFENSES.register("standard")
class Standard(Defense):
    """Fine-tune the whole model from the pre-trained weights (RIFT paper, Section 3.2).

    This is the first row of the paper's tables. It overrides no hook. As for every row, dev
    accuracy under the convex-hull attack takes part in the choice of its epoch (appendix A.1).
    """

    paper = (
        "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language"
        " Understanding, NAACL 2019"
    )
    deviations = (RANDOM_BATCHES_DEVIATION, *LOOP_DEVIATIONS)
    parallel = True
