"""Find the substitution set and the language model of a record, by their hashes.

A record is a file of a stranger. So no name in it is taken for a path or for a model of the hub:
only what ships with robench, what the task names, and what the user gives is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError, UsageError
from robench._base.foreign_code import ALLOW
from robench.evaluation import defaults
from robench.evaluation.substitution_sources import EMBEDDINGS, HELD_OUT, SetFinder
from robench.plugins.names import split_on
from robench.records.record import Record
from robench.tasks.base import Task
from robench.text.substitutions import NAMES, load_substitutions
from robench.verification.settings import VerificationSettings
from robench.verification.victims import NotThere

if TYPE_CHECKING:
    from robench.text.scorer import Scorer
    from robench.text.sources import SubstituteSource
    from robench.text.substitutions import SubstitutionSet

MASKED_LM = "masked-lm"
"""The set that a masked language model makes."""


class SetSearch:
    """The substitution sets and language models that this machine has; each is loaded once.

    Args:
        settings: the user's files.
        device: a torch device string.
    """

    def __init__(self, settings: VerificationSettings, device: str) -> None:
        self._settings, self._device = settings, device
        self._named: dict[str, SubstitutionSet | None] = {}
        self._scorers: dict[int, Scorer | None] = {}
        self._finder = SetFinder(settings.data, defaults.ENCODER, settings.lm, device)

    def own_sets(self, cls: type[Task], trained: object) -> Iterator[SubstitutionSet]:
        """Yield the sets that may be those of a task: its own, the user's, that of the training.

        Args:
            cls: the task.
            trained: name of the set of the victim's training, as its card has it.
        """
        names = [cls.substitutions, *map(str, self._settings.substitutions)]
        names += [trained] if isinstance(trained, str) and trained in NAMES else []
        for name in dict.fromkeys(names):
            if (found := self._load(name)) is not None:
                yield found

    def find(self, record: Record, cls: type[Task], trained: object) -> SubstituteSource:
        """Return the substitution set that the attack of a record searched.

        Args:
            record: the record.
            cls: the task of the victim.
            trained: name of the set of the victim's training, as its card has it.

        Raises:
            NotThere: this machine does not have it.
        """
        wanted = record.surface.substitutions_sha256
        for source in self._candidates(record, cls, trained):
            if wanted is None or source.sha256 == wanted:
                return source
        raise NotThere(
            f"the substitution set '{record.surface.substitutions}' with this hash is not here. "
            "Give its file with --substitutions, or the folder of the data with --data."
        )

    def _candidates(
        self, record: Record, cls: type[Task], trained: object
    ) -> Iterator[SubstituteSource]:
        _, name = split_on(record.attack.name)
        own = list(self.own_sets(cls, trained))
        if not name:
            yield from own
            shown = record.surface.substitutions
            if shown in NAMES and (found := self._load(str(shown))) is not None:
                yield found
        elif name == HELD_OUT:
            for each in own:
                yield from self._made(HELD_OUT, cls.held_out, [each])
        elif name in NAMES:
            if (found := self._load(name)) is not None:
                yield found
        elif name in (EMBEDDINGS, MASKED_LM):
            yield from self._made(name, "", own)
        else:
            yield from own[1:]

    def _made(
        self, name: str, held_out: str, own: Sequence[SubstitutionSet]
    ) -> Iterator[SubstituteSource]:
        try:
            yield self._finder.find(name, held_out, own)
        except RobenchError:
            return

    def _load(self, name: str) -> SubstitutionSet | None:
        """Return a set, or None where it cannot be loaded here."""
        if name not in self._named:
            try:
                self._named[name] = load_substitutions(name, self._settings.data)
            except RobenchError:
                self._named[name] = None
        return self._named[name]

    def check_model(self, radius: int) -> None:
        """Load the language model that the user named; the default one is there always.

        Args:
            radius: words of context on each side.

        Raises:
            UsageError: there is no such model, or it cannot be loaded.
        """
        if self._settings.lm == defaults.LM:
            return
        try:
            self._scorer(radius)
        except UsageError as error:
            if ALLOW not in str(error):
                raise
            raise UsageError(
                f"--lm {self._settings.lm}: this model needs code from its own folder, and "
                "'robench verify' runs no such code. Leave --lm out. The records that used the "
                "model then stay claimed."
            ) from error

    def scorer(self, record: Record) -> Scorer | None:
        """Return the language model of a record; see ``scorer_of``."""
        return self.scorer_of(record.surface.language_model, record.protocol.lm_radius)

    def scorer_of(self, identity: str, radius: int) -> Scorer | None:
        """Return a language model; None for ``"none"``.

        Args:
            identity: its identity, as a record has it.
            radius: words of context on each side.

        Raises:
            NotThere: ``--lm`` names another one.
        """
        if identity == "none":
            return None
        scorer = self._scorer(radius)
        if scorer is None or scorer.identity != identity:
            raise NotThere(
                f"the record used another language model than --lm {self._settings.lm}. Name the "
                "model of its run with --lm"
            )
        return scorer

    def _scorer(self, radius: int) -> Scorer | None:
        from robench.text.language_model import build_scorer

        if radius not in self._scorers:
            self._scorers[radius] = build_scorer(self._settings.lm, self._device, radius)
        return self._scorers[radius]
