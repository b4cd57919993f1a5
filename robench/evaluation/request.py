"""The request of an evaluation, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import expanduser
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench._base.escaping import one_line
from robench._base.regular_files import RECORD
from robench._base.reporting import Reporter
from robench._base.waiting import Patience
from robench.evaluation import defaults
from robench.evaluation.time_limit import check_seconds
from robench.plugins.names import canonical
from robench.protocol import Protocol, Temperature, Unknown, get_protocol
from robench.records.run_folder import RunFolder
from robench.records.shard import Shard
from robench.search.settings import SearchSettings
from robench.tasks.columns import DataColumns
from robench.tasks.example import Example
from robench.text.punkt import Punkt


class EvaluationRequest(BaseModel):
    """A run as a frozen value.

    The values are checked here, except for names of plugins, which ``plan`` and ``evaluate``
    check.

    Attributes:
        defenses: registered names, in the wanted order. ``("all",)`` stands for every one. Joint
            defenses are written ``"ascc+mixout"``. The order of the members does not matter. May be
            empty where there are other victims.
        victims: folders or hub ids of classifiers to attack as they are: models of transformers
            with a classification head, and victims that robench saved.
        names: names of the rows of ``victims``, in their order. There may be fewer names than
            victims; the others get the last part of their location.
        label_map: name of a label in the given models -> name of the label in the task.
        attacks: registered names, or ``("all",)``. May be empty to train only. After ``@`` stands
            another substitution set than the task's own: ``"pwws@wordnet"``.
        tasks: registered names, files (``"reviews.csv"``), hub datasets (``"hf:NAME"``), or
            ``("all",)``.
        tests: registered tasks or files whose labelled texts are judged instead of the test set of
            each task. Empty judges the task's own. Name the task itself to judge that as well.
        seeds: seeds of training and search. There is one trained victim per seed.
        encoder: a name that ``robench list encoders`` shows, a hub id or a folder.
        protocol: name of a protocol. None chooses it: ``subword`` with a given model, that of its
            card with a saved victim, and otherwise ``DEFAULT_PROTOCOL``.
        limit: judge only this many examples, balanced over the labels. None judges all. A
            limited run never reaches a board.
        budget: queries that a search may make per example. None sets no limit.
        unknown: choice of the protocol (``Protocol.unknown``). ``protocol`` may name it as well, as
            in ``"rift2021(unknown=forbidden)"``.
        temperature: the same for ``Protocol.temperature``.
        options: options of the plugins, such as ``{"defense.alpha": "0.3",
            "attack.population": "20", "rift.alpha": "0.5"}``. A plugin's own name takes
            precedence over its kind.
        example_seconds: own seconds (``Trial.seconds``) after which the search of an example is
            ended as an ERROR, which the next run tries again. 0 sets no limit. None sets none for
            built-in attacks, and ``defaults.EXAMPLE_SECONDS`` for attacks of other packages.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        workers: processes that search at the same time. None chooses a number that suits the
            device and the number of examples.
        share_device: whether several search processes on one GPU share a victim. None shares where
            it is possible (``robench.evaluation.device_sharing``).
        data: folder with the publishers' files. None uses ``ROBENCH_DATA``, then the hub.
        hub: whether data may be downloaded from the hub.
        ids: file with another published list of test examples.
        train_pool: pool of training examples. None uses the first pool of the task.
        settings_of: name of the task whose published settings the defenses use, or empty for those
            of each task itself.
        text_column: column of the text, for tasks that are files. None guesses it, and the run
            says so. The same holds for the other columns.
        pair_column: column of the second text.
        label_column: column of the label.
        attack_column: column that may be attacked.
        train_file: file of the training examples.
        dev_file: file of the dev examples.
        test_file: file of the test examples.
        substitutions: substitution set of the files.
        max_tokens: window of the files, in tokens.
        lm: language model of the constraint: ``"tiny"``, ``"masked:ID"``, ``"causal:ID"``,
            ``"file:PATH"`` or ``"none"``.
        punkt: parameters that split texts into sentences: robench's own (``"embedded"``), or those
            of NLTK's data (``"nltk"``), which must be installed. None takes the environment
            variable ``ROBENCH_PUNKT``, or robench's own.
        trust_remote_code: whether Python files in the folders of given models, of language models
            and of the models of substitution sets may run. They run with the rights of the user.
        precision: precision of the training.
        search_precision: precision of the queries of a search. The verdict always uses fp32.
        retrain: train again even if a victim with the same configuration exists.
        parallel_victims: victims that are trained at the same time, each in a process of its own.
        trackers: where the curves of training and the results of attacks are sent as well: names of
            Accelerate's trackers, or ``"module:Class"``.
        wait: the most seconds to wait for another run that works on the same part of ``out``.
            None waits as long as it takes, 0 not at all.
        shard: the part of the examples that this run attacks, as ``"1/4"`` or a ``Shard``. Its
            trials become no record (``robench.evaluation.shards``). None attacks all.
        backend: where trainings and searches are done (``robench.evaluation.backend``).
        ray_address: address of the Ray cluster, for the backend of that name. None takes the
            environment's, or starts one on this machine.
        out: folder of the run (``robench.records.run_folder``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    defenses: tuple[str, ...] = ()
    victims: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    label_map: Mapping[str, str] = {}
    attacks: tuple[str, ...] = ()
    tasks: tuple[str, ...] = (defaults.TASK,)
    tests: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    encoder: str = defaults.ENCODER
    protocol: str | None = None
    limit: int | None = None
    budget: int | None = None
    example_seconds: float | None = None
    unknown: Unknown = "allowed"
    temperature: Temperature = "none"
    options: Mapping[str, str] = {}
    device: str = "auto"
    workers: int | None = None
    share_device: bool | None = None
    data: Path | None = None
    hub: bool = True
    ids: Path | None = None
    train_pool: str | None = None
    settings_of: str = ""
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    attack_column: str | None = None
    train_file: Path | None = None
    dev_file: Path | None = None
    test_file: Path | None = None
    substitutions: str | None = None
    max_tokens: int | None = None
    lm: str = defaults.LM
    punkt: Punkt | None = None
    trust_remote_code: bool = False
    precision: Precision = "fp32"
    search_precision: Precision = "fp32"
    retrain: bool = False
    parallel_victims: int = 1
    trackers: tuple[str, ...] = ()
    wait: float | None = None
    shard: Shard | None = None
    backend: str = defaults.BACKEND
    ray_address: str | None = None
    out: Path = defaults.OUT

    def patience(self, report: Reporter) -> Patience | None:
        """Return how long this run waits for another one; None where it does not wait.

        Args:
            report: gets the messages about a wait.
        """
        return None if self.wait == 0 else Patience(self.wait, report.message)

    @property
    def own_folder(self) -> RunFolder:
        """The folder of the trials: that of the run, or that of its shard inside it."""
        whole = RunFolder(self.out)
        return whole if self.shard is None else whole.shard(self.shard.folder_name)

    def share(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Return the examples that this run attacks: all, or those of its shard."""
        return examples if self.shard is None else self.shard.share(examples)

    @property
    def columns(self) -> DataColumns:
        """What the options say about tasks that are files."""
        return DataColumns.from_options(dict(self))

    def search_settings(self, seed: int, device: str) -> SearchSettings:
        """Return the settings of the searches against one victim.

        Args:
            seed: one of ``seeds``.
            device: the torch device that ``self.device`` means on this machine.
        """
        return SearchSettings(seed, self.budget, self.search_precision, device, self.workers)

    def judged_by(self, base: Protocol) -> Protocol:
        """Return the protocol of the attacks on a victim that was trained under ``base``."""
        return base.choosing(self.unknown, self.temperature)

    @field_validator("shard", mode="before")
    @classmethod
    def _parse_shard(cls, value: Any) -> Any:
        return Shard.parse(value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _split_protocol(cls, values: Any) -> Any:
        """Take the choices of the evaluation out of the protocol's name."""
        name = values.get("protocol") if isinstance(values, Mapping) else None
        if not isinstance(name, str) or "(" not in name:
            return values
        named = get_protocol(name)
        values = {**values, "protocol": named.base.name}
        for choice, usual in (("unknown", "allowed"), ("temperature", "none")):
            wanted, given = getattr(named, choice), values.get(choice, usual)
            if wanted != usual and given not in (usual, wanted):
                raise UsageError(
                    f"Protocol '{name}' and --{choice} {given} contradict each other. Leave one "
                    "of them out."
                )
            values[choice] = wanted if wanted != usual else given
        return values

    @field_validator("limit", "budget", "workers", "max_tokens", "parallel_victims")
    @classmethod
    def _check_positive(cls, value: int | None, info: Any) -> int | None:
        option = info.field_name.replace("_", "-")
        if value is not None and value < 1:
            raise UsageError(f"--{option} must be at least 1, got {value}.")
        if value is not None and value > RECORD.largest:
            raise UsageError(f"--{option} must be at most {RECORD.largest:.0e}, got {value}.")
        return value

    @field_validator("example_seconds")
    @classmethod
    def _check_seconds(cls, value: float | None) -> float | None:
        check_seconds(value)
        return value

    @field_validator("out")
    @classmethod
    def _check_out(cls, value: Path) -> Path:
        try:
            value.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            # It may be made, or the run says that it cannot be.
            return value
        except OSError as error:
            raise UsageError(
                f"--out cannot be '{one_line(value, 80)}' ({error.strerror}). Name another folder."
            ) from error
        return value

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 0:
            raise UsageError("--seed takes whole numbers from 0; give at least one.")
        if max(value) > RECORD.largest:
            raise UsageError(
                f"--seed takes whole numbers up to {RECORD.largest:.0e}, got {max(value)}."
            )
        return tuple(dict.fromkeys(value))

    @field_validator("tasks")
    @classmethod
    def _check_tasks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise UsageError("Name at least one of the tasks, or 'all'.")
        # A "+" in a task's name is part of a file's name.
        return tuple(dict.fromkeys(value))

    @field_validator("defenses")
    @classmethod
    def _bring_in_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(canonical, value)))

    @field_validator("victims", "names")
    @classmethod
    def _check_no_blanks(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        # An empty text (for example from an unset shell variable) would mean the current folder.
        if not all(each.strip() for each in value):
            raise UsageError(
                f"--{info.field_name.removesuffix('s')} is empty. Give a folder or a hub id with "
                "--victim, and a name for its row with --name."
            )
        return value

    @field_validator("victims")
    @classmethod
    def _expand_home(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Expand ``~``, which no shell expands in a script or in a file of options."""
        # ``Path.expanduser`` raises an error for an unknown user and changes hub ids.
        return tuple(expanduser(each) for each in value)  # noqa: PTH111

    @field_validator("encoder")
    @classmethod
    def _check_encoder(cls, value: str) -> str:
        # An empty text (for example from an unset shell variable) would mean the current folder.
        if not value.strip():
            raise UsageError(
                "--encoder is empty. Give a name of 'robench list encoders', a hub id or a local "
                "folder."
            )
        return value

    @field_validator("attacks", "tests")
    @classmethod
    def _remove_duplicates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))

    @property
    def rows_of_victims(self) -> tuple[str, ...]:
        """Names of the rows of ``victims``, in their order."""
        usual = (
            victim.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
            for victim in self.victims[len(self.names) :]
        )
        return (*self.names, *usual)

    @model_validator(mode="after")
    def _address_has_its_backend(self) -> EvaluationRequest:
        if self.ray_address is not None and self.backend == defaults.BACKEND:
            raise UsageError("--ray-address is about --backend ray. Add that, or leave it out.")
        return self

    @model_validator(mode="after")
    def _names_fit_victims(self) -> EvaluationRequest:
        if len(self.names) > len(self.victims):
            raise UsageError(
                f"There are {len(self.names)} --name for {len(self.victims)} --victim. The names "
                "follow the order of the victims."
            )
        rows = self.rows_of_victims
        twice = next((name for name in rows if rows.count(name) > 1), None)
        if twice is not None:
            raise UsageError(
                f"Two victims are called '{twice}', and a table could not tell them apart. Give "
                "each a name with --name, in the order of --victim."
            )
        return self


def build_request(**values: Any) -> EvaluationRequest:
    """Return an EvaluationRequest from separate values.

    Raises:
        UsageError: a value is missing or does not fit.
    """
    try:
        return EvaluationRequest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "request"
        raise UsageError(
            f"'{name}' of the evaluation: {first['msg'].lower()} (got {first['input']!r})."
        ) from error
