"""The sentences about one trial that every view of it shares."""

from __future__ import annotations

from robench._base.escaping import NAME, shorten
from robench.records.trial_texts import TrialText
from robench.search.attack import Verdict


def outcome_words(trial: TrialText) -> str:
    """Return label and predictions: ``"negative (0.98) -> positive (0.61)"``."""
    clean = _prediction(trial.prediction, trial.confidence)
    if trial.verdict == Verdict.ERROR:
        return f"{shorten(trial.label, NAME)} is the label"
    if trial.verdict == Verdict.WRONG:
        label = shorten(trial.label, NAME)
        return f"{label} is the label, {clean} is predicted for the original text"
    if trial.adversarial_prediction is None:
        return clean
    after = _prediction(trial.adversarial_prediction, trial.adversarial_confidence)
    return f"{clean} -> {after}"


def _prediction(name: str | None, confidence: float | None) -> str:
    shown = shorten(str(name), NAME)
    return shown if confidence is None else f"{shown} ({confidence:.2f})"


def cost_words(trial: TrialText) -> str:
    """Return changed words and queries: ``"2 words changed, 34 queries"``."""
    if trial.verdict == Verdict.WRONG:
        return "not attacked, because the victim is wrong on the original text"
    if trial.verdict == Verdict.HELD_PROVED and trial.asked == 0:
        return "no word of it may be replaced"
    queries = "1 query" if trial.asked == 1 else f"{trial.asked} queries"
    if trial.words_changed is None:
        return queries
    words = "1 word" if trial.words_changed == 1 else f"{trial.words_changed} words"
    return f"{words} changed, {queries}"
