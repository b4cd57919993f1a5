"""Standard fine-tuning: mean cross-entropy on the texts as they are, every parameter trained."""

from __future__ import annotations

from robench import DEFENSES, Defense
from robench.methods import LOOP_DEVIATIONS


@DEFENSES.register("standard")
class Standard(Defense):
    """The paper's first row (RIFT paper, section 3.2): start from the pre-trained weights and fine-tune the whole model.

    Overrides no hook. Like every row it is selected by dev accuracy under the convex-hull attack (appendix A.1).
    """

    paper = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, NAACL 2019"
    deviations = LOOP_DEVIATIONS
    parallel = True
