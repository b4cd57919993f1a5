"""Victims that robench did not train: models of transformers, and functions of the user."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from robench.evaluation.resolved_victims import Obtained, State
from robench.protocol import Protocol
from robench.records.record import EncoderPart, GivenPart, PluginPart, VictimPart
from robench.records.row_labels import row_label

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.given.description import GivenInfo
    from robench.models.given.function import FunctionVictim

NO_TRAINING = "robench did not train this victim"
"""Why a record has no time of training."""


@dataclass(frozen=True)
class _NotTrained:
    """What both kinds have in common.

    Attributes:
        protocol: the evaluation choices.
        seed: seed of the searches.
        device: a torch device string.
    """

    protocol: Protocol
    seed: int
    device: str
    gradients: ClassVar[bool] = False

    @property
    def train_pool(self) -> None:
        """No pool, because robench did not train the victim."""

    def state(self, request: EvaluationRequest) -> State:
        """Return what a run does to get the victim."""
        return "load"

    def encoder_part(self, obtained: Obtained) -> EncoderPart | None:
        """Return nothing, because robench did not train the victim."""
        return None

    def defense_part(self, obtained: Obtained) -> PluginPart | None:
        """Return nothing, because robench did not train the victim."""
        return None


@dataclass(frozen=True)
class GivenModel(_NotTrained):
    """A classifier of transformers, attacked as it is.

    Attributes:
        info: what its configuration and tokenizer tell.
    """

    info: GivenInfo

    @property
    def label(self) -> str:
        """Label of the row."""
        return row_label("given", self.row_name, "")

    @property
    def row_name(self) -> str:
        """Short name of the row."""
        return self.info.source.title

    @property
    def max_tokens(self) -> int:
        """Size of the window."""
        return self.info.max_tokens

    @cached_property
    def key(self) -> str:
        """Key of what decides the answers, beside the files."""
        source = self.info.source
        return _hash(
            {
                "kind": "given",
                "files": self.info.sha256,
                "labels": list(source.labels),
                "order": list(self.info.order),
                "fields": list(source.fields),
                "attackable": source.attackable,
                "architecture": self.info.architecture,
                "max_tokens": self.info.max_tokens,
                "protocol": asdict(self.protocol),
            }
        )

    def known_identity(self, request: EvaluationRequest) -> str:
        """Return the hash of the files."""
        return self.info.sha256

    def obtain(self, request: EvaluationRequest, title: str, report: Reporter) -> Obtained:
        """Load the model."""
        from robench.models.given.loading import load_given

        source = self.info.source
        report.started("loading", title, None)
        victim = load_given(source, self.device)
        pairs = [
            ours if theirs == ours else f"{theirs} is {ours}"
            for theirs, ours in self.info.label_pairs.items()
        ]
        code = ", with code of its folder" if self.info.foreign_code else ""
        report.finished(f"{self.info.architecture}{code}, labels by name: {', '.join(pairs)}")
        return Obtained(victim, load_given, source, None, None, NO_TRAINING)

    def victim_part(self, obtained: Obtained, findings: tuple[str, ...]) -> VictimPart:
        """Return the record's part about the victim."""
        pairs = self.info.label_pairs
        given = GivenPart(
            source=self.source_name,
            architecture=self.info.architecture,
            max_tokens=self.info.max_tokens,
            label_map={theirs: ours for theirs, ours in pairs.items() if theirs != ours},
        )
        return VictimPart(
            kind="given",
            name=self.row_name,
            sha256=self.info.sha256,
            configuration=self.key,
            training_code_sha256=None,
            precision=None,
            findings=findings,
            given=given,
        )

    @property
    def source_name(self) -> str:
        """The hub id, or the last part of the folder: a record names no place of this machine."""
        from pathlib import Path

        location = self.info.source.location
        return Path(location).resolve().name if Path(location).is_dir() else location


@dataclass(frozen=True)
class GivenFunction(_NotTrained):
    """A function of the user, from texts to probabilities.

    Attributes:
        function: the function with its task.
    """

    function: FunctionVictim

    @property
    def label(self) -> str:
        """Label of the row."""
        return row_label("function", self.row_name, "")

    @property
    def row_name(self) -> str:
        """Short name of the row."""
        return self.function.name

    @property
    def max_tokens(self) -> None:
        """No limit, because nobody knows what a function reads."""

    @property
    def repeatable(self) -> bool:
        """Whether a later run may use the trials, because the function has a version."""
        return bool(self.function.sha256)

    @cached_property
    def key(self) -> str:
        """Key of what decides the answers; another one each time if that is not known."""
        return _hash(
            {
                "kind": "function",
                "name": self.function.name,
                "version": self.function.sha256 or uuid.uuid4().hex,
                "labels": list(self.function.labels),
                # Which column of its answers belongs to which label.
                "order": list(self.function.order),
                "fields": list(self.function.encoder_fields.fields),
                "attackable": self.function.attackable,
                "protocol": asdict(self.protocol),
                # Left out where it is 1, so that older trials keep their key.
                **({} if self.function.draws == 1 else {"draws": self.function.draws}),
            }
        )

    def known_identity(self, request: EvaluationRequest) -> str:
        """Return the hash of the function's version, or a random one."""
        return self.function.sha256 or self.key

    def obtain(self, request: EvaluationRequest, title: str, report: Reporter) -> Obtained:
        """Return the function itself. Worker processes cannot have it."""
        if not self.repeatable:
            report.message(
                f"The function '{self.row_name}' has no version, so no later run can use its "
                "trials. Give it an identity, such as 'my-api 2026-01', to continue runs."
            )
        return Obtained(self.function, None, None, None, None, NO_TRAINING)

    def victim_part(self, obtained: Obtained, findings: tuple[str, ...]) -> VictimPart:
        """Return the record's part about the victim."""
        given = GivenPart(
            source=self.row_name,
            architecture=None,
            max_tokens=None,
            label_map={},
            repeatable=self.repeatable,
        )
        draws = self.function.draws
        return VictimPart(
            kind="function",
            name=self.row_name,
            sha256=self.function.sha256 or self.key,
            configuration=self.key,
            training_code_sha256=None,
            precision=None,
            findings=findings,
            given=given,
            smoothing=None if draws == 1 else {"kind": "function", "draws": draws},
        )


def _hash(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
