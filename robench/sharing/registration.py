"""Tell transformers about robench's classes, so that a victim's folder needs no remote code."""

from __future__ import annotations


def register_with_transformers() -> None:
    """Let transformers' Auto classes and pipelines load robench victims in this process.

    Afterwards ``AutoModelForSequenceClassification.from_pretrained(folder)``,
    ``AutoTokenizer.from_pretrained(folder)`` and ``pipeline("text-classification", model=folder)``
    give robench's probabilities. No ``trust_remote_code`` is needed, and no code of the folder
    runs. A second call changes nothing.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    from robench.models.hub_model import RobenchConfig, RobenchForSequenceClassification
    from robench.sharing.tokenizer import RobenchTokenizer

    AutoConfig.register(RobenchConfig.model_type, RobenchConfig, exist_ok=True)
    AutoModelForSequenceClassification.register(
        RobenchConfig, RobenchForSequenceClassification, exist_ok=True
    )
    AutoTokenizer.register(RobenchConfig, slow_tokenizer_class=RobenchTokenizer, exist_ok=True)
