"""The victims of a grid before they are trained or loaded, one class for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from robench._base.code_hash import code_sha256
from robench._base.errors import RobenchError
from robench.evaluation.training_guard import training_alone, with_own_data
from robench.evaluation.training_log import TrainingListener, training_seconds
from robench.plugins.option_routing import label
from robench.protocol import Protocol as EvaluationProtocol
from robench.protocol import get_protocol
from robench.records.record import EncoderPart, PluginPart, VictimPart
from robench.records.row_labels import row_label
from robench.records.run_folder import RunFolder
from robench.records.selection_part import SelectionPart
from robench.training.registry import DEFENSES

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.judged import JudgedVictim
    from robench.models.victim import Victim
    from robench.search.victim_protocol import SearchVictim, TextReader
    from robench.tasks.base import Task
    from robench.training.request import FitRequest

State = Literal["train", "reuse", "load"]
"""What a run does for a victim: train it, use one that it trained earlier, or load a given one."""


@dataclass(frozen=True)
class Obtained:
    """A victim in memory, and how another process gets it.

    Attributes:
        victim: the classifier.
        load: an importable function that loads the victim in a worker process, from ``source`` and
            a device. None if the victim exists in this process only.
        source: first argument of ``load``.
        read: an importable function that returns how the victim reads texts, from ``source``, for
            a search process that does not load the victim. None where there is no such function.
        folder: where it is stored, or None.
        training_seconds: wall-clock time of its training, or None if it is unknown.
        no_seconds: why the time is unknown, or an empty text.
        card: the card of a victim that robench trained; empty for others.
    """

    victim: JudgedVictim
    load: Callable[[Any, str], SearchVictim] | None
    source: Any
    folder: Path | None
    training_seconds: float | None
    no_seconds: str
    card: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[Any], TextReader] | None = None

    @property
    def identity(self) -> str:
        """SHA-256 (hex) of everything that decides the victim's answers, for keys of cells."""
        from robench.models.victim_folder import identity

        return identity(self.card) if self.card else self.victim.sha256


def loaded_from(victim: Victim, folder: Path) -> Obtained:
    """Return a victim that was loaded from ``folder``; other processes must find the same one."""
    from robench.models.saved_folder import SavedFolder, load_unchanged, read_unchanged
    from robench.models.victim_folder import identity

    source = SavedFolder(folder, identity(victim.card))
    seconds = training_seconds(folder)
    return Obtained(
        victim, load_unchanged, source, folder, *seconds, card=victim.card, read=read_unchanged
    )


class ResolvedVictim(Protocol):
    """One victim of a task, with the seed of its searches."""

    @property
    def seed(self) -> int:
        """Seed of the searches; for a victim that is trained, also of the training."""

    @property
    def device(self) -> str:
        """A torch device string."""

    @property
    def protocol(self) -> EvaluationProtocol:
        """The evaluation choices."""

    @property
    def train_pool(self) -> str | None:
        """Pool of the training examples, or None where robench did not train the victim."""

    @property
    def gradients(self) -> bool:
        """Whether an attack can have its gradients."""

    @property
    def label(self) -> str:
        """Label of the victim's row in tables (``Record.row``)."""

    @property
    def row_name(self) -> str:
        """Short name of the row, for files (``Record.row_name``)."""

    @property
    def key(self) -> str:
        """SHA-256 (hex) of the configuration that decides the victim."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens of the longest text that it reads, or None if there is no limit."""

    def state(self, request: EvaluationRequest) -> State:
        """Return what a run does to get the victim."""

    def known_identity(self, request: EvaluationRequest) -> str | None:
        """Return ``Obtained.identity``, or None if it is known only after training.

        Raises:
            RobenchError: the victim is there and damaged.
        """

    def obtain(self, request: EvaluationRequest, title: str, report: Reporter) -> Obtained:
        """Train or load the victim.

        Raises:
            RobenchError: the training failed, or the victim cannot be loaded.
        """

    def encoder_part(self, obtained: Obtained) -> EncoderPart | None:
        """Return the record's part about the encoder, or None if robench did not train it."""

    def defense_part(self, obtained: Obtained) -> PluginPart | None:
        """Return the record's part about the defense, or None if robench did not train it."""

    def victim_part(self, obtained: Obtained, findings: tuple[str, ...]) -> VictimPart:
        """Return the record's part about the victim.

        Args:
            obtained: the victim in memory.
            findings: what the health checks found.
        """


@dataclass(frozen=True)
class TrainedVictim:
    """A victim that this run trains, or that an earlier run trained in the same folder.

    Attributes:
        defense_label: name of the defense, followed by the options that differ from the defaults.
        fit: the training configuration.
    """

    defense_label: str
    fit: FitRequest
    gradients: ClassVar[bool] = True

    @property
    def seed(self) -> int:
        """Seed of training and search."""
        return self.fit.seed

    @property
    def device(self) -> str:
        """Device of training and search."""
        return self.fit.device

    @property
    def protocol(self) -> EvaluationProtocol:
        """The evaluation choices."""
        return self.fit.protocol

    @property
    def train_pool(self) -> str:
        """Pool of the training examples."""
        return self.fit.splits.train_pool

    @property
    def label(self) -> str:
        """Label of the row."""
        return self.defense_label

    @property
    def row_name(self) -> str:
        """Short name of the row."""
        return self.fit.defense

    @property
    def key(self) -> str:
        """Key of the configuration."""
        return self.fit.key

    @property
    def max_tokens(self) -> int:
        """Size of the window."""
        return self.fit.task_class.max_tokens

    def folder(self, request: EvaluationRequest) -> Path:
        """Return the victim's folder."""
        return RunFolder(request.out).victim(self.fit.folder_name)

    def state(self, request: EvaluationRequest) -> State:
        """Return what a run does to get the victim."""
        return "reuse" if not request.retrain and self.folder(request).exists() else "train"

    def known_identity(self, request: EvaluationRequest) -> str | None:
        """Return the victim's identity, or None before the training."""
        from robench.models.victim_folder import checked_card, identity

        if self.state(request) == "train":
            return None
        return identity(checked_card(self.folder(request)))

    def obtain(self, request: EvaluationRequest, title: str, report: Reporter) -> Obtained:
        """Train the victim, or load the one that exists."""
        from robench.training.loop import train_or_load

        folder, victims = self.folder(request), RunFolder(request.out).victims
        if self.state(request) == "reuse":
            report.message(
                f"The victim {title} exists with the same configuration ({folder.name})."
            )
            victim, _ = train_or_load(self.fit, victims)
        else:
            report.started("training", title, None)
            listener = TrainingListener(report)
            with training_alone(title, report):
                _, trained = train_or_load(
                    with_own_data(self.fit),
                    victims,
                    listener,
                    retrain=request.retrain,
                    patience=request.patience(report),
                )
            # Loaded again, because the defense could have changed what loads a victim.
            victim, _ = train_or_load(self.fit, victims)
            how = "saved in" if trained else "trained by another run,"
            report.finished(f"{how} {folder.name}")
        return loaded_from(victim, folder)

    def encoder_part(self, obtained: Obtained) -> EncoderPart:
        """Return the record's part about the encoder."""
        sha256 = obtained.card["ingredients"]["encoder_sha256"]
        return EncoderPart(name=self.fit.encoder_label, sha256=sha256)

    def defense_part(self, obtained: Obtained) -> PluginPart:
        """Return the record's part about the defense."""
        return PluginPart(
            name=self.fit.defense,
            label=self.defense_label,
            options=self.fit.resolved.model_dump(mode="json"),
            # Of the plugin, or of all members of a joint defense.
            code_sha256=code_sha256(DEFENSES.get(self.fit.defense)),
        )

    def victim_part(self, obtained: Obtained, findings: tuple[str, ...]) -> VictimPart:
        """Return the record's part about the victim."""
        return VictimPart(
            kind="trained",
            sha256=obtained.victim.sha256,
            configuration=self.fit.key,
            # From the card, because an earlier run may have trained the victim.
            training_code_sha256=obtained.card["ingredients"]["code"]["training"],
            precision=self.fit.precision,
            findings=findings,
            selection=SelectionPart.of_card(obtained.card),
            smoothing=obtained.card.get("smoothing"),
            identity=obtained.identity,
        )


@dataclass(frozen=True)
class SavedVictim:
    """A victim that robench trained and saved, given by its folder.

    Attributes:
        name: name of its row.
        folder: its folder.
        card: its card (``victim.json``).
        task_class: class of the run's task.
        seed: seed of the searches.
        device: a torch device string.
    """

    name: str
    folder: Path
    card: Mapping[str, Any]
    task_class: type[Task]
    seed: int
    device: str
    gradients: ClassVar[bool] = True

    @cached_property
    def protocol(self) -> EvaluationProtocol:
        """The protocol that it was trained with."""
        return get_protocol(self.card["protocol"])

    @property
    def train_pool(self) -> str:
        """Pool of the training examples."""
        return str(self._ingredients["train_pool"])

    @property
    def _ingredients(self) -> Mapping[str, Any]:
        ingredients: Mapping[str, Any] = self.card["ingredients"]
        return ingredients

    @property
    def label(self) -> str:
        """Label of the row."""
        return row_label("trained", self.name, "")

    @property
    def row_name(self) -> str:
        """Short name of the row."""
        return self.name

    @property
    def key(self) -> str:
        """Key of the configuration."""
        return str(self.card["key"])

    @property
    def max_tokens(self) -> int:
        """Size of the window."""
        return int(self.card["max_tokens"])

    def state(self, request: EvaluationRequest) -> State:
        """Return what a run does to get the victim."""
        return "load"

    def known_identity(self, request: EvaluationRequest) -> str:
        """Return the victim's identity."""
        from robench.models.victim_folder import checked_card, identity

        return identity(checked_card(self.folder))

    def obtain(self, request: EvaluationRequest, title: str, report: Reporter) -> Obtained:
        """Load the victim."""
        from robench.models.victim import Victim

        return loaded_from(Victim.load(self.folder, self.device), self.folder)

    def encoder_part(self, obtained: Obtained) -> EncoderPart:
        """Return the record's part about the encoder."""
        return EncoderPart(name=self.card["encoder"], sha256=self._ingredients["encoder_sha256"])

    def defense_part(self, obtained: Obtained) -> PluginPart:
        """Return the record's part about the defense."""
        options, name = dict(self._ingredients["options"]), self._ingredients["defense"]
        return PluginPart(
            name=name,
            label=self._defense_label(name, options),
            options=options,
            code_sha256=self._ingredients["code"]["defense"],
        )

    def _defense_label(self, name: str, options: Mapping[str, Any]) -> str:
        """Return the defense's label, or its name alone where the plugin does not fit any more."""
        from robench.models.encoders import find_encoder
        from robench.training.request import build_defense

        encoder = find_encoder(self.card["encoder"])
        try:
            defaults, chosen = (
                build_defense(
                    name, self.card["task"], encoder, values, task_class=self.task_class
                ).options
                for values in ({}, options)
            )
        except RobenchError:
            return name
        return label(name, chosen, defaults)

    def victim_part(self, obtained: Obtained, findings: tuple[str, ...]) -> VictimPart:
        """Return the record's part about the victim."""
        return VictimPart(
            kind="trained",
            name=self.name,
            sha256=obtained.victim.sha256,
            configuration=self.key,
            training_code_sha256=self._ingredients["code"]["training"],
            precision=self._ingredients["precision"],
            findings=findings,
            selection=SelectionPart.of_card(obtained.card),
            smoothing=obtained.card.get("smoothing"),
            identity=obtained.identity,
        )
