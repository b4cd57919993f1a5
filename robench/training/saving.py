"""Save a trained victim into its folder, completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.environment import describe_device, versions
from robench._base.errors import RobenchError
from robench._base.files import is_disk_full, remove_link, sync_folder, sync_tree
from robench._base.release import __version__
from robench._base.seals import with_seal
from robench._base.waiting import Patience, alone
from robench.models.victim import Victim
from robench.models.victim_folder import CURVES, LOG, curve_hashes, identity
from robench.training.runtime import is_main_process, processes

if TYPE_CHECKING:
    from robench.training.checkpoint import TrainingState
    from robench.training.epoch_choice import EpochChoice
    from robench.training.request import FitRequest
    from robench.training.setup import TrainingSetup


def work_folder(out: Path) -> Path:
    """Return the folder that holds the checkpoint while the victim in ``out`` is trained."""
    return out.with_name(out.name + ".training")


def curves_folder(out: Path) -> Path:
    """Return the folder where a tracker writes while the victim in ``out`` is trained.

    It is outside the work folder, whose draft of a victim is replaced as a whole.
    """
    return out.with_name(out.name + ".curves")


def remove_victim(out: Path) -> None:
    """Remove the victim in ``out`` and the folders of an unfinished training."""
    for folder in (out, work_folder(out), curves_folder(out)):
        shutil.rmtree(folder, ignore_errors=True)


def training_lock_file(out: Path) -> Path:
    """Return the file that a run locks while it trains the victim in ``out``."""
    return out.with_name(out.name + ".lock")


def training_lock(out: Path, patience: Patience | None = None) -> AbstractContextManager[bool]:
    """Keep other runs from training the victim in ``out`` while the block runs.

    Only the main process of a run takes the lock, so its other processes are not shut out. A run
    of several processes never waits, because the others would start without the first.

    Args:
        out: the victim's folder.
        patience: how long to wait for another run. None waits not at all.

    Returns:
        A context that gives whether this run had to wait.

    Raises:
        RobenchError: another run is training it.
    """
    if not is_main_process():
        return nullcontext(False)
    return alone(
        training_lock_file(out),
        f"Another run is training the victim '{out}'.",
        patience if processes() == 1 else None,
    )


def save_victim(
    request: FitRequest, setup: TrainingSetup, state: TrainingState, choice: EpochChoice, out: Path
) -> Victim:
    """Save the chosen epoch's victim to ``out``, then remove the work folder.

    The checkpoint goes only after the victim is on the disk, so a power cut loses neither.

    Args:
        request: what was trained.
        setup: has the model; in the main process it holds the chosen epoch's weights.
        state: has the log.
        choice: the chosen epoch.
        out: the victim's folder.
    """
    setup.defense.finish(setup.model)
    setup.tracking.finish()
    if setup.accelerator.is_main_process:
        software = {"robench": __version__, **versions()}
        card = _card(request, setup, state, choice, software)
        victim = Victim(
            setup.model, setup.tokenizer, card, str(setup.device), smoother=setup.smoother
        )
        log = {
            "key": request.key,
            "selected_epoch": choice.epoch,
            "selection": _selection(choice, state),
            "epochs": state.history,
            "versions": software,
        }
        try:
            _write(victim, log, out)
        except RobenchError:
            raise
        except Exception as error:
            # On a full disk safetensors raises an error of its own, which is no OSError.
            if not isinstance(error, OSError) and not is_disk_full(error):
                raise
            why = os.strerror(errno.ENOSPC) if is_disk_full(error) else error
            raise RobenchError(
                f"The victim could not be written to '{out}' ({why}). "
                "Free some space or choose another --out."
            ) from error
        shutil.rmtree(work_folder(out), ignore_errors=True)
    setup.accelerator.wait_for_everyone()
    return Victim.load(out, request.device)


def _write(victim: Victim, log: dict[str, Any], out: Path) -> None:
    """Write the folder ``out``; return when all of it is on the disk."""
    draft = work_folder(out) / "victim"
    shutil.rmtree(draft, ignore_errors=True)
    # A link is no folder for ``rmtree``, and the victim would be written behind it.
    remove_link(draft)
    victim.save(draft)
    curves = curves_folder(out)
    if curves.is_dir():
        # Copy, do not move: a kill before the draft becomes the victim would lose the curves.
        shutil.copytree(curves, draft / CURVES)
    content = with_seal({**log, "victim": identity(victim.card), "curves": curve_hashes(draft)})
    text = json.dumps(content, indent=2, allow_nan=False)
    (draft / LOG).write_text(text + "\n", encoding="utf-8")
    sync_tree(draft)
    draft.replace(out)
    sync_folder(out.parent)
    shutil.rmtree(curves, ignore_errors=True)


def _card(
    request: FitRequest,
    setup: TrainingSetup,
    state: TrainingState,
    choice: EpochChoice,
    software: dict[str, str],
) -> dict[str, Any]:
    """Return the victim's card, which says how it was made."""
    task = request.task_class
    chosen = state.history[choice.epoch - 1]
    return {
        "name": request.defense,
        "task": request.task,
        "labels": list(task.labels),
        "attackable": task.attackable,
        "fields": list(setup.fields),
        "max_tokens": task.max_tokens,
        "protocol": request.protocol.name,
        "substitutions": None if request.substitutions is None else request.substitutions.name,
        "encoder": request.encoder_label,
        "seed": request.seed,
        "key": request.key,
        "ingredients": request.ingredients(),
        "train_examples": len(setup.train),
        "dev_examples": len(setup.dev),
        "selected_epoch": choice.epoch,
        "selection": _selection(choice, state),
        "dev_accuracy": chosen["dev_accuracy"],
        "dev_hull_accuracy": chosen["dev_hull_accuracy"],
        "device": describe_device(str(setup.device)),
        "processes": setup.accelerator.num_processes,
        "versions": software,
    }


def _selection(choice: EpochChoice, state: TrainingState) -> dict[str, Any]:
    """Return what the card, the log and the records say about the choice of the epoch.

    Accuracies and the margin are in [0, 1], and epochs are counted from 1.
    """
    return {
        "rule": choice.rule,
        "margin": choice.margin,
        "kept": choice.epoch,
        "epochs": [
            {"clean": entry["dev_accuracy"], "attacked": entry["dev_hull_accuracy"]}
            for entry in state.history
        ],
    }
