"""``load_victim``: one call from a victim's folder to predictions for texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from robench._base.errors import RobenchError, UsageError
from robench._base.escaping import terminal
from robench._base.files import is_local_path
from robench.models.victim_folder import CARD, checked_card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from robench.models.judged import JudgedVictim

Text = str | tuple[str, ...] | Mapping[str, str]
"""One text: a string, the two strings of a pair, or all fields by name."""

_REMEDY = "Get the victim's files again, or train it again."


@dataclass(frozen=True)
class Prediction:
    """What a victim says about one text.

    Attributes:
        label: name of the likeliest label.
        probability: its probability, in [0, 1].
        probabilities: label -> probability, in the order of the labels.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]


class LoadedVictim:
    """A victim that answers texts.

    Args:
        victim: the classifier.
        fields: the task's fields in reading order.
        card: the contents of ``victim.json``; empty for a model that robench did not train.
        location: the folder, hub id or ``hf:USER/NAME`` that it came from; None if it is unknown.

    Attributes:
        victim, fields, card, location: as above.
    """

    def __init__(
        self,
        victim: JudgedVictim,
        fields: Sequence[str],
        card: Mapping[str, Any],
        location: str | None = None,
    ) -> None:
        self.victim = victim
        self.fields = tuple(fields)
        self.card = dict(card)
        self.location = location

    @property
    def name(self) -> str:
        """Name of the defense, or of the model where robench did not train it."""
        return self.victim.name

    @property
    def task(self) -> str:
        """Name of the task; empty for a model that robench did not train."""
        return self.victim.task

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the probabilities."""
        return self.victim.labels

    @overload
    # A string is a sequence of strings too, and this signature comes first for it.
    def predict(self, texts: Text) -> Prediction: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, texts: Sequence[Text]) -> list[Prediction]: ...

    def predict(self, texts: Any) -> Prediction | list[Prediction]:
        """Return the prediction for one text, or the list of those for a list of texts.

        A text of a task with one field is a string. A text of a task with two fields is a tuple
        of two strings. Every text can be a dict of its fields.

        Raises:
            UsageError: a text does not have the task's fields.
        """
        rows = self.probabilities(texts)
        made = [self._prediction(row.tolist()) for row in rows]
        return made[0] if self._is_one(texts) else made

    def probabilities(self, texts: Text | Sequence[Text]) -> NDArray[np.float32]:
        """Return the probabilities ``(texts, classes)``; one text gives one row.

        Raises:
            UsageError: a text does not have the task's fields.
        """
        given: Sequence[Any] = [texts] if self._is_one(texts) else list(texts)
        return self.victim.probs_of_texts([self._fields_of(text) for text in given])

    def _prediction(self, row: Sequence[float]) -> Prediction:
        probabilities = dict(zip(self.labels, row, strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        return Prediction(label, probabilities[label], probabilities)

    def _is_one(self, texts: Any) -> bool:
        """Return whether ``texts`` is one text and not several."""
        if isinstance(texts, tuple) and len(self.fields) > 1:
            return all(isinstance(part, str) for part in texts)
        return isinstance(texts, str | Mapping)

    def _fields_of(self, text: Any) -> dict[str, str]:
        names = ", ".join(self.fields)
        if isinstance(text, Mapping):
            fields = dict(text)
        else:
            parts = tuple(text) if isinstance(text, tuple | list) else (text,)
            if len(parts) != len(self.fields):
                raise UsageError(
                    f"A text of this victim has {len(self.fields)} fields ({names}), but "
                    f"{len(parts)} came. Give a string for one field, a tuple for several, or a "
                    "dict."
                )
            fields = dict(zip(self.fields, parts, strict=True))
        if set(fields) != set(self.fields):
            raise UsageError(
                f"A text of this victim has the fields {names}, but these came: "
                f"{', '.join(map(str, fields))}."
            )
        for name, value in fields.items():
            if not isinstance(value, str):
                raise UsageError(
                    f"Field '{name}' must be a string, but it is {type(value).__name__}."
                )
        return {name: fields[name] for name in self.fields}

    def __repr__(self) -> str:
        return terminal(
            f"<{self.name} on {self.task or 'no task'}: {', '.join(self.labels)}; "
            f"fields {', '.join(self.fields)}; device {self.victim.device}>"
        )


def load_victim(
    location: str | Path,
    device: str = "auto",
    *,
    fields: Sequence[str] = ("text",),
    trust_remote_code: bool = False,
) -> LoadedVictim:
    """Load a victim, ready to answer texts.

    Args:
        location: the folder of a saved victim, ``hf:USER/NAME`` or ``hf:USER/NAME@REVISION`` for
            one on the Hugging Face hub, or the folder or hub id of any model with a
            classification head.
        device: ``"auto"`` or a torch device string.
        fields: names of the texts that a model reads which robench did not train: one or two. A
            saved victim has its own.
        trust_remote_code: whether Python files in the folder of a model may run which robench did
            not train. A saved victim needs none.

    Raises:
        UsageError: there is no such victim, or the model cannot be used.
        RobenchError: a file of the victim is missing or damaged.
    """
    from robench._base.environment import choose_device
    from robench.sharing.hub import hub_location, victim_folder_of

    chosen = choose_device(device)
    text = str(location)
    folder = victim_folder_of(text)
    on_hub = hub_location(text) is not None
    # The whole path, because a notebook may change its working folder.
    place = text if on_hub or not folder.is_dir() else str(folder.absolute())
    if (folder / CARD).is_file():
        from robench.models.victim import Victim

        victim = Victim.load(folder, chosen, _REMEDY)
        return LoadedVictim(victim, victim.card["fields"], victim.card, place)
    if not on_hub and not folder.is_dir() and is_local_path(text):
        raise UsageError(f"There is no folder '{text}'. Name a victim's folder or a hub id.")
    return _load_given(place, chosen, fields, trust_remote_code)


def _load_given(
    location: str, device: str, fields: Sequence[str], foreign_code: bool
) -> LoadedVictim:
    """Load a model that robench did not train; its labels are its own."""
    from robench.models.given.description import labels_of
    from robench.models.given.loading import load_given
    from robench.models.given.source import GivenSource

    names = tuple(fields)
    labels = labels_of(location, foreign_code)
    source = GivenSource(location, labels, names, names[-1], foreign_code=foreign_code)
    return LoadedVictim(load_given(source, device), names, {}, location)


def card_of(folder: Path) -> dict[str, Any]:
    """Return the card of the victim in ``folder``, after its files were compared with it.

    Raises:
        UsageError: the folder holds no victim.
        RobenchError: a file is damaged or changed.
    """
    if not (folder / CARD).is_file():
        raise UsageError(
            f"'{folder}' holds no victim: there is no '{CARD}'. Name a folder such as one in "
            "runs/victims."
        )
    try:
        return checked_card(folder, _REMEDY)
    except RobenchError as error:
        raise UsageError(str(error)) from error
