"""Find the victims that the user gives, and the protocol that fits them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.bounded_reading import Unreadable, read_json
from robench._base.errors import UsageError
from robench._base.files import is_local_path
from robench.evaluation.given_models import GivenFunction, GivenModel
from robench.evaluation.resolved_victims import ResolvedVictim, SavedVictim
from robench.models.given.source import GivenSource
from robench.models.victim_folder import CARD
from robench.protocol import DEFAULT_PROTOCOL, Protocol, get_protocol
from robench.tasks.resolving import expand_tasks, task_name

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.given.function import FunctionVictim
    from robench.tasks.base import Task

GIVEN_PROTOCOL = "subword"
"""Protocol of a run with a given model, which reads its own tokens."""


def is_saved_victim(location: str) -> bool:
    """Return whether ``location`` is the folder of a victim that robench trained."""
    return (Path(location) / CARD).is_file()


def is_trained_on(locations: Sequence[str], task: str) -> bool:
    """Return whether one of the ``locations`` is a victim that robench trained on ``task``."""
    return any(saved_card(each)["task"] == task for each in locations if is_saved_victim(each))


def trained_on_other_rows(locations: Sequence[str], task: str, train: str) -> list[str]:
    """Return the saved victims of ``task`` whose training rows have another digest than ``train``.

    They may have been trained on rows that are test rows now.
    """
    cards = {each: saved_card(each) for each in locations if is_saved_victim(each)}
    return [
        each
        for each, card in cards.items()
        if card["task"] == task and card["ingredients"].get("train") != train
    ]


def saved_card(location: str) -> dict[str, Any]:
    """Return the card of a victim that robench trained.

    Raises:
        UsageError: it was saved by hand, without what made it.
    """
    from robench.models.victim import read_card

    card = read_card(Path(location))
    if "ingredients" not in card:
        raise UsageError(
            f"--victim {location}: its '{CARD}' does not say how the victim was trained. Name a "
            "victim's folder, such as one in runs/victims."
        )
    return card


def with_downloads(request: EvaluationRequest, report: Reporter) -> EvaluationRequest:
    """Return the request with the victims of ``hf:USER/NAME`` downloaded: as folders.

    Raises:
        UsageError: a victim is not on the hub, or the hub cannot be reached.
        RobenchError: a file is not the one on the victim's card.
    """
    from robench.sharing.hub import PREFIX, victim_folder_of

    if not any(location.startswith(PREFIX) for location in request.victims):
        return request
    folders = []
    for location in request.victims:
        if location.startswith(PREFIX):
            report.message(f"Getting the victim {location} from the hub or its cache.")
            location = str(victim_folder_of(location))
        folders.append(location)
    # The names of the rows are those of the repositories, not of folders in the cache.
    return request.model_copy(update={"victims": tuple(folders), "names": request.rows_of_victims})


def check_locations(request: EvaluationRequest) -> None:
    """Refuse victims that cannot be there, without a look into their files.

    Raises:
        UsageError: a folder does not exist, or an option is about given victims and there are none.
    """
    for location in request.victims:
        if is_local_path(location) and not Path(location).is_dir():
            raise UsageError(
                f"--victim {location}: there is no such folder. Give a folder with a model, or the "
                "id of a model on the Hugging Face hub."
            )
    if request.label_map and not request.victims:
        raise UsageError(
            "--label-map translates the labels of a --victim, and there is none. Leave it out, or "
            "name a victim."
        )


def choose_protocol(
    request: EvaluationRequest, functions: Sequence[FunctionVictim], report: Reporter
) -> Protocol:
    """Return the protocol of a run: the one that the user names, or one that fits the victims.

    Args:
        request: the request.
        functions: victims that are functions.
        report: receives a message about a protocol that the victims chose.

    Raises:
        UsageError: the victims do not fit the protocol, or each other.
    """
    saved = {where: saved_card(where)["protocol"] for where in _saved(request)}
    given = [where for where in request.victims if where not in saved]
    given += [each.name for each in functions]
    if request.protocol is not None:
        return _check_protocol(get_protocol(request.protocol), given, saved)
    wanted = dict(saved)
    if given:
        wanted[given[0]] = GIVEN_PROTOCOL
    (first, name), *others = wanted.items() or [("", DEFAULT_PROTOCOL)]
    for other, other_name in others:
        if other_name != name:
            raise UsageError(
                f"The victim '{first}' needs protocol {name}, and '{other}' needs {other_name}. "
                "They cannot share a run: evaluate them separately."
            )
    if given:
        report.message(
            f"Protocol {name}: a given model reads its own tokens, so it cannot read one token for "
            "each word."
        )
    elif saved:
        report.message(f"Protocol {name}, with which the victim was trained.")
    return get_protocol(name)


def _saved(request: EvaluationRequest) -> list[str]:
    return [where for where in request.victims if is_saved_victim(where)]


def _check_protocol(protocol: Protocol, given: Sequence[str], saved: dict[str, str]) -> Protocol:
    """Return ``protocol``, or refuse it because of a victim."""
    if given and protocol.tokens == "word":
        raise UsageError(
            f"--protocol {protocol.name} reads exactly one token for each word, and '{given[0]}' "
            f"was not trained that way. Leave --protocol out; the run then uses {GIVEN_PROTOCOL}."
        )
    for where, name in saved.items():
        if name != protocol.name:
            raise UsageError(
                f"--protocol {protocol.name}: the victim '{where}' was trained with protocol "
                f"{name}. Leave --protocol out."
            )
    return protocol


def warn_of_lost_head(request: EvaluationRequest, report: Reporter) -> None:
    """Say that ``--encoder`` trains a classifier anew, if it names one that is trained already."""
    from robench.models.encoders import ENCODERS

    if not request.defenses or request.encoder in ENCODERS:
        return
    if is_saved_victim(request.encoder):
        report.message(
            f"Warning: '{request.encoder}' is a victim that robench trained. As an encoder it is "
            f"trained anew, with a new head. To attack it as it is, say --victim {request.encoder}."
        )
        return
    heads = [name for name in _architectures(request.encoder) if "ForSequenceClass" in name]
    if heads:
        report.message(
            f"Warning: '{request.encoder}' is a finished classifier ({heads[0]}). As an encoder it "
            "loses its classification head and is trained anew. To attack it as it is, say "
            f"--victim {request.encoder}."
        )


def _architectures(location: str) -> list[str]:
    """Return the architectures of a model's configuration; nothing if that cannot be read."""
    from transformers.utils import cached_file

    folder = Path(location)
    try:
        path = folder / "config.json" if folder.is_dir() else cached_file(location, "config.json")
        config = read_json(Path(str(path)))
        return [str(name) for name in config.get("architectures") or ()]
    except (OSError, ValueError, AttributeError, TypeError, Unreadable):
        # Whoever loads the encoder reports what is wrong with it.
        return []


def given_victims(
    request: EvaluationRequest,
    functions: Sequence[FunctionVictim],
    name: str,
    cls: type[Task],
    fields: Sequence[str],
    protocol: Protocol,
    device: str,
) -> Iterator[ResolvedVictim]:
    """Yield the victims that the user gives, victim by victim and seed by seed.

    Args:
        request: the request.
        functions: victims that are functions.
        name: name of the task.
        cls: its class.
        fields: its fields, in reading order.
        protocol: the evaluation choices.
        device: a torch device string.

    Raises:
        UsageError: a victim does not fit the task.
    """
    from robench.models.given.description import describe_given

    for location, row in zip(request.victims, request.rows_of_victims, strict=True):
        if is_saved_victim(location):
            card = saved_card(location)
            if list(card["fields"]) != list(fields):
                raise UsageError(_not_those(location, "fields", card["fields"], name, fields))
            for seed in request.seeds:
                yield SavedVictim(row, Path(location), card, cls, seed, device)
        else:
            info = describe_given(
                GivenSource(
                    location=location,
                    labels=cls.labels,
                    fields=tuple(fields),
                    attackable=cls.attackable,
                    label_map=request.label_map,
                    name=row,
                    task=name,
                    foreign_code=request.trust_remote_code,
                )
            )
            for seed in request.seeds:
                yield GivenModel(protocol, seed, device, info)
    others = {task_name(each) for each in expand_tasks(request.tasks)} - {name}
    for function in functions:
        if function.task in others:
            continue
        _check_function(function, name, cls)
        for seed in request.seeds:
            yield GivenFunction(protocol, seed, device, function)


def _check_function(function: FunctionVictim, name: str, cls: type[Task]) -> None:
    """Refuse a function of another task."""
    if function.task != name:
        raise UsageError(
            f"The function '{function.name}' is about task '{function.task}', and this run is "
            f"about '{name}'."
        )
    for what, found, wanted in (
        ("labels", function.labels, cls.labels),
        ("attackable field", (function.attackable,), (cls.attackable,)),
    ):
        if tuple(found) != tuple(wanted):
            raise UsageError(
                f"The function '{function.name}': its {what} ({', '.join(found)}) are not those of "
                f"task '{name}' ({', '.join(wanted)})."
            )


def check_saved(request: EvaluationRequest, name: str, cls: type[Task]) -> None:
    """Refuse saved victims of another task, before the data are read.

    Raises:
        UsageError: a victim was trained on a task of another name, or with other labels.
    """
    for location in _saved(request):
        card = saved_card(location)
        if card["task"] != name:
            raise UsageError(
                f"--victim {location}: it was trained on task '{card['task']}', and this run is "
                f"about '{name}'. Say --task {card['task']}. To judge it on other texts, add "
                f"--test {name}."
            )
        for what, found, wanted in (
            ("labels", card["labels"], cls.labels),
            ("attackable field", [card["attackable"]], [cls.attackable]),
        ):
            if list(found) != list(wanted):
                raise UsageError(_not_those(location, what, found, name, wanted))


def _not_those(
    location: str, what: str, found: Sequence[str], name: str, wanted: Sequence[str]
) -> str:
    return (
        f"--victim {location}: its {what} ({', '.join(found)}) are not those of task '{name}' "
        f"({', '.join(wanted)})."
    )
