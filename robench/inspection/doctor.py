"""The checks of ``robench doctor``: software, device, data, disk, hub and plugins."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from robench._base import arithmetic
from robench._base.errors import RobenchError, UsageError, one_line

State = Literal["ok", "missing", "problem"]
LITTLE_SPACE_GIB = 2.0
"""Less free space than this is a problem: about the size of a BERT-sized victim with checkpoint."""
HUB_SECONDS = 10.0
"""Seconds to wait for the hub's answer."""
OPTIONAL = {
    "datasets": "hub",
    "textattack": "textattack",
    "tensorboard": "tensorboard",
    "matplotlib": "plots",
    "scikit-learn": "plots",
}
"""Optional package -> the extra that installs it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check.

    Attributes:
        section: the heading above it.
        what: what was checked.
        state: ``"missing"`` limits what can be run; ``"problem"`` should be repaired.
        detail: the version or the place; where something is wrong, the reason and what to do.
    """

    section: str
    what: str
    state: State
    detail: str


def examine(
    *, data: Path | None = None, out: Path = Path("runs"), online: bool = False
) -> list[Diagnosis]:
    """Check everything that a run needs.

    This trains nothing, fetches nothing, and writes nothing except to its cache.

    Args:
        data: the folder of data sets.
        out: the folder of runs, for the free space on its disk.
        online: whether to connect to the hub.
    """
    diagnoses = [
        *_software(),
        *_device(),
        *_tasks(data),
        *_assets(data),
        *_encoders(),
        *_disk(out),
        *_plugins(),
    ]
    return [*diagnoses, *_hub()] if online else diagnoses


def _software() -> Iterator[Diagnosis]:
    supported = sys.version_info >= (3, 11)
    yield Diagnosis(
        "software",
        "python",
        "ok" if supported else "problem",
        f"{platform.python_version()} ({platform.system()} {platform.machine()})",
    )
    yield _package("robench")
    for name in sorted(_requirements(extra=False), key=str.lower):
        yield _package(name)
    for name in sorted(_requirements(extra=True), key=str.lower):
        found = _package(name)
        if found.state != "ok":
            command = f"pip install 'robench[{OPTIONAL[name]}]'"
            found = Diagnosis("software", name, "missing", f"optional: {command}")
        yield found


def _requirements(extra: bool) -> set[str]:
    """Return the packages that robench needs, or (``extra``) those of its extras for users."""
    from packaging.requirements import Requirement

    try:
        parsed = [Requirement(line) for line in requires("robench") or []]
    except PackageNotFoundError:
        return set()
    if not extra:
        return {requirement.name for requirement in parsed if requirement.marker is None}
    return {requirement.name for requirement in parsed if requirement.name in OPTIONAL}


def _package(name: str) -> Diagnosis:
    try:
        return Diagnosis("software", name, "ok", version(name))
    except PackageNotFoundError:
        return Diagnosis(
            "software", name, "problem", "not installed: run 'pip install robench' again"
        )


def _arithmetic() -> Diagnosis:
    """Say whether an fp32 result of a text depends on the other texts of its batch."""
    if arithmetic.independent_rows():
        setting = f"{arithmetic.VARIABLE} is {arithmetic.products()}"
        detail = f"a text's fp32 result does not depend on the texts beside it ({setting})"
        return Diagnosis("device", "arithmetic", "ok", detail)
    late = arithmetic.warning()
    if late is not None:
        return Diagnosis("device", "arithmetic", "problem", late)
    detail = (
        "a text's fp32 result depends on the texts beside it here, so searches take slower, fixed "
        "batches; their trials are the same for any number of workers all the same"
    )
    return Diagnosis("device", "arithmetic", "ok", detail)


def _device() -> Iterator[Diagnosis]:
    import torch

    yield Diagnosis(
        "device",
        "threads",
        "ok",
        f"torch uses {torch.get_num_threads()} of {os.cpu_count()} processors",
    )
    yield _arithmetic()
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            yield Diagnosis(
                "device",
                f"cuda:{index}",
                "ok",
                f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB",
            )
    elif torch.backends.mps.is_available():
        yield Diagnosis("device", "mps", "ok", "Apple GPU")
    else:
        yield Diagnosis(
            "device", "gpu", "missing", "none that torch can use: runs use the processor"
        )


def _tasks(data: Path | None) -> Iterator[Diagnosis]:
    from robench.tasks.registry import TASKS

    if data is None:
        missing = "no folder was named with --data or ROBENCH_DATA"
        yield Diagnosis("data", "folder", "missing", missing)
    else:
        yield Diagnosis("data", "folder", "ok", str(data.resolve()))
    for entry in TASKS.entries():
        try:
            yield _load(entry.name, TASKS.get(entry.name)(), data)
        except UsageError as error:
            detail = f"{one_line(error)} (The hub was not asked.)"
            yield Diagnosis("data", entry.name, "missing", detail)
        except RobenchError as error:
            yield Diagnosis("data", entry.name, "problem", one_line(error))
        # A task of another package may raise anything. The other checks must still run.
        except Exception as error:
            yield Diagnosis("data", entry.name, "problem", f"{type(error).__name__}: {error}")


def _load(name: str, task: Any, data: Path | None) -> Diagnosis:
    """Load a task with the first training pool that the folder has.

    Loading also compares the digest of the test examples, which is the point of this check.
    """
    from robench.tasks.base import DataSource

    source = DataSource(folder=data, hub=False)
    # A task with a test set only has no pool.
    pools = task.train_pools or (None,)
    usual = pools[0]
    # The pool 'small', or else the last pool, needs fewer files than the usual one.
    smallest = "small" if "small" in pools else pools[-1]
    first_error: RobenchError | None = None
    for pool in dict.fromkeys((usual, smallest)):
        try:
            splits = task.load(source, train_pool=pool)
        except RobenchError as error:
            first_error = first_error or error
            continue
        option = "" if pool == usual else f", only with --train-pool {pool}"
        sizes = f"{len(splits.train):,} train, {len(splits.dev):,} dev, {len(splits.test):,} test"
        return Diagnosis("data", name, "ok", f"{sizes}{option} ({splits.origin})")
    assert first_error is not None
    raise first_error


def _assets(data: Path | None) -> Iterator[Diagnosis]:
    from robench.tasks.assets import ASSETS, locate_asset

    for name, asset in sorted(ASSETS.items()):
        try:
            found = locate_asset(name, data)
        except RobenchError as error:
            yield Diagnosis("data", name, "problem", one_line(error))
            continue
        if found is not None:
            yield Diagnosis("data", name, "ok", str(found))
        else:
            where = "neither in the data folder nor in the cache"
            yield Diagnosis("data", name, "missing", f"{where}; a run would fetch {asset.url}")


def _encoders() -> Iterator[Diagnosis]:
    from robench.models.encoders import ENCODERS

    cached, lacking = [], []
    for info in ENCODERS.values():
        folder = Path(info.location)
        if info.fetched is not None and info.fetched.missing():
            detail = f"'robench fetch {info.name}' gets it ({info.fetched.megabytes} MB)"
            yield Diagnosis("encoders", info.name, "missing", detail)
        elif folder.is_absolute():
            yield _local_encoder(info.name, folder)
        elif _in_hub_cache(info.location):
            cached.append(info.name)
        else:
            lacking.append(info.name)
    if cached:
        yield Diagnosis("encoders", "in the hub's cache", "ok", ", ".join(cached))
    if lacking:
        detail = "a run would ask the hub; --encoder also takes a local folder"
        yield Diagnosis("encoders", "to be fetched", "missing", f"{', '.join(lacking)}: {detail}")


def _local_encoder(name: str, folder: Path) -> Diagnosis:
    if all((folder / file).is_file() for file in ("config.json", "model.safetensors")):
        return Diagnosis("encoders", name, "ok", str(folder))
    detail = f"{folder} lacks config.json or model.safetensors"
    return Diagnosis("encoders", name, "problem", detail)


def _in_hub_cache(location: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(location, "config.json"), str)


def _disk(out: Path) -> Iterator[Diagnosis]:
    from huggingface_hub import constants

    from robench.inspection.health import cache_folder as plugin_cache
    from robench.tasks.archive_copies import cache_folder as copies
    from robench.tasks.assets import cache_folder as asset_cache

    for what, folder in (
        ("runs", out),
        ("robench's cache", asset_cache()),
        ("copies of archives", copies()),
        ("plugin checks", plugin_cache()),
        ("hub cache", Path(constants.HF_HUB_CACHE)),
    ):
        # The folder may not exist yet. Its nearest existing parent is on the same disk.
        path = folder.resolve()
        existing = next(place for place in (path, *path.parents) if place.exists())
        free = shutil.disk_usage(existing).free / 2**30
        writable = os.access(existing, os.W_OK)
        detail = f"{path}: {free:.1f} GiB free" + ("" if writable else ", not writable")
        state: State = "ok" if writable and free >= LITTLE_SPACE_GIB else "problem"
        yield Diagnosis("disk", what, state, detail)


def _plugins() -> Iterator[Diagnosis]:
    from robench.inspection.catalogue import REGISTRY_OF_KIND, list_kind

    for kind in REGISTRY_OF_KIND:
        rows = list_kind(kind)
        usable = [row.name for row in rows if row.problem is None]
        yield Diagnosis("plugins", f"{kind}s", "ok", ", ".join(usable) or "none")
        for row in rows:
            if row.problem is not None:
                yield Diagnosis("plugins", row.name, "problem", row.problem)


def _hub() -> Iterator[Diagnosis]:
    from huggingface_hub import HfApi, constants

    try:
        HfApi().model_info("google-bert/bert-base-uncased", timeout=HUB_SECONDS)
    # The errors of its transport have no common base class.
    except Exception as error:
        reason = f"not reached ({type(error).__name__})"
        detail = f"{reason}: only local data and encoders can be used"
        yield Diagnosis("hub", constants.ENDPOINT, "missing", detail)
        return
    yield Diagnosis("hub", constants.ENDPOINT, "ok", "reached")
