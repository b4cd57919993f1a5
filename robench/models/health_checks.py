"""Checks that every victim passes before its figures are reported.

They follow AutoAttack's ``checks.py``: are the victim's answers deterministic, and does its
accuracy mean anything?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import RobenchError
from robench._base.intervals import wilson

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim
    from robench.tasks.example import Example

SATURATED = 1 - 1e-6
"""Above this top probability, fp32 leaves a search by probabilities almost no signal to follow."""
GAP, COLD = 0.1, 0.2
"""Bounds of the finding ``underconfident``; see ``_confidence_flags``."""
LEAST = 1e-38
"""Stands for a probability of 0, which has no logarithm; fp32 has hardly a smaller number."""
_BLIND = (
    "Attacks that compare probabilities or losses may fail for this reason alone: those of "
    "TextAttack, and published forms such as scores=probabilities. Searches on log-odds are not "
    "affected, and --temperature dev removes the cause."
)
IGNORED = 0.25
"""A class is ignored if it is predicted for less than this part of its share of the examples."""
CHECK_EXAMPLES, CHECK_EXAMPLES_PER_CLASS = 200, 40
"""Number of examples to check with. With 40 of a class, a class that is never or hardly ever
predicted is told from one that is predicted too rarely by chance."""
_REMEDIES = {
    "trained": "",
    "given": "",
    "function": " Take sampling and other chance out of the function, or "
    "let robench.evaluate take the mean of several calls (draws=16).",
}


@dataclass(frozen=True)
class RedFlag:
    """Something suspicious about a victim; it is reported beside the victim's figures.

    Attributes:
        name: short and stable, for records: ``"chance"``, ``"swapped"``, ``"one-class"``,
            ``"class-ignored"``, ``"saturated"``, ``"underconfident"``, ``"zero-gradient"``,
            ``"depends-on-company"``; of the training ``"still-rising"`` and ``"first-epoch"``.
        message: one sentence for people.
    """

    name: str
    message: str


def check_victim(
    victim: JudgedVictim, examples: Sequence[Example], split: str = "dev"
) -> list[RedFlag]:
    """Classify ``examples`` twice and return what looks suspicious.

    Args:
        victim: the victim.
        examples: dev examples, or test examples where there is no dev split; a few hundred are
            plenty.
        split: ``"dev"`` or ``"test"``, for the messages.

    Returns:
        One red flag for each suspicious fact; an empty list when there is none.

    Raises:
        RobenchError: the victim cannot be judged. It is in train mode, its answers differ the
            second time, or its answers are not probabilities.
    """
    _check_mode(victim)
    texts = [example.fields for example in examples]
    probabilities, again = victim.probs_of_texts(texts), victim.probs_of_texts(texts)
    if not np.isfinite(probabilities).all():
        remedy = " Train it again with a lower learning_rate." if victim.kind == "trained" else ""
        raise RobenchError(
            f"Victim '{victim.name}' answers with numbers that are not finite.{remedy}"
        )
    if not np.array_equal(probabilities, again):
        raise RobenchError(
            f"Victim '{victim.name}' cannot be judged: it gives the same texts different "
            f"probabilities when asked twice.{_REMEDIES[victim.kind]}"
        )
    if not np.allclose(probabilities.sum(-1), 1, atol=1e-5) or (probabilities < 0).any():
        raise RobenchError(
            f"Victim '{victim.name}' cannot be judged: its probabilities do not sum to 1."
        )
    labels = np.asarray([example.label for example in examples])
    return _red_flags(victim, probabilities, labels, split)


def _check_mode(victim: JudgedVictim) -> None:
    """Refuse a model in train mode; a function has no mode."""
    model = getattr(victim, "model", None)
    modules = () if model is None else model.modules()
    active = [type(module).__name__ for module in modules if module.training]
    if active:
        whose = " Its defense must leave it in eval mode." if victim.kind == "trained" else ""
        raise RobenchError(
            f"Victim '{victim.name}' is in train mode ({active[0]}), so its answers are random."
            f"{whose}"
        )


def guessing_accuracy(labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return the accuracy of a constant answer, and the largest accuracy no better than it.

    Args:
        labels: ``(n,)``; the constant answer is the most frequent of them.

    Returns:
        Two values in [0, 1]; the second is two standard errors above the first.
    """
    share = float(np.bincount(labels).max()) / len(labels)
    return share, share + 2 * sqrt(share * (1 - share) / len(labels))


def _red_flags(
    victim: JudgedVictim,
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    split: str,
) -> list[RedFlag]:
    """Look for figures that would mislead a reader of the victim's results."""
    flags, count = [], len(labels)
    # ``lucky`` lies two standard errors above ``chance``, so a guess does not pass by luck.
    predictions = probabilities.argmax(-1)
    accuracy = float((predictions == labels).mean())
    chance, lucky = guessing_accuracy(labels)
    spread = lucky - chance
    if len(victim.labels) == 2 and accuracy < chance - spread and accuracy < 1 - chance:
        message = (
            f"'{victim.name}' is right on {accuracy:.1%} of {count} {split} examples, far below "
            f"guessing ({chance:.1%}). Its two labels are probably swapped."
        )
        flags.append(RedFlag("swapped", message))
    elif accuracy <= lucky:
        low, high = wilson(accuracy, count)
        better = "not clearly better" if accuracy > chance else "no better"
        message = (
            f"'{victim.name}' is right on {accuracy:.1%} of {count} {split} examples (95% "
            f"interval {low:.1%} to {high:.1%}), {better} than guessing ({chance:.1%})."
        )
        flags.append(RedFlag("chance", message))
    if len(np.unique(predictions)) == 1:
        only = victim.labels[int(predictions[0])]
        message = f"'{victim.name}' predicts '{only}' for every one of {count} {split} examples."
        flags.append(RedFlag("one-class", message))
    else:
        flags += _ignored_classes(victim, predictions, labels, split)
    return flags + _confidence_flags(victim, probabilities, labels, split)


def _confidence_flags(
    victim: JudgedVictim,
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    split: str,
) -> list[RedFlag]:
    """Look for probabilities that hide which words matter, which looks like robustness.

    A victim is under-confident if its accuracy lies more than ``GAP`` above its mean confidence
    and its temperature is below ``COLD``. So label smoothing raises no finding: with two classes
    and a smoothing of 0.45 the temperature of a victim that is right on 95 % is about 0.4.
    """
    confidence = probabilities.max(-1).astype(np.float64)
    saturated = float((confidence > SATURATED).mean())
    if saturated > 0.5:
        message = (
            f"'{victim.name}' gives a probability above 1 - 1e-6 on {saturated:.0%} of {split}. "
            f"{_BLIND}"
        )
        return [RedFlag("saturated", message)]
    accuracy = float((probabilities.argmax(-1) == labels).mean())
    if accuracy - confidence.mean() <= GAP:
        return []
    # Imported here, because no training depends on it.
    from robench.models.calibration import fit_temperature

    temperature = fit_temperature(np.log(np.maximum(probabilities, LEAST)), labels)
    if temperature >= COLD:
        return []
    message = (
        f"'{victim.name}' is right on {accuracy:.1%} of {split} with a mean confidence of "
        f"{confidence.mean():.1%}: its logits are too small by a factor of about "
        f"{1 / temperature:.0f}. {_BLIND}"
    )
    return [RedFlag("underconfident", message)]


def examples_to_check(classes: int) -> int:
    """Return how many examples ``check_victim`` needs for a task with this many classes."""
    return max(CHECK_EXAMPLES, CHECK_EXAMPLES_PER_CLASS * classes)


def _ignored_classes(
    victim: JudgedVictim, predictions: NDArray[np.int64], labels: NDArray[np.int64], split: str
) -> list[RedFlag]:
    """Look for classes that are hardly ever predicted; an average over classes hides them.

    A class counts where the upper end of the 95 % interval of its predicted share lies below a
    quarter of its true share. So neither chance nor a mild imbalance makes a finding.
    """
    count, parts = len(labels), []
    for number, name in enumerate(victim.labels):
        mine = labels == number
        predicted = int((predictions == number).sum())
        if wilson(predicted / count, count)[1] < IGNORED * mine.mean():
            found = int((predictions[mine] == number).sum())
            parts.append(f"'{name}' for {predicted}, and finds {found} of its {int(mine.sum())}")
    if not parts:
        return []
    listed = "; ".join(parts)
    message = f"'{victim.name}' hardly ever predicts a class: of {count} {split} examples {listed}."
    return [RedFlag("class-ignored", message)]
