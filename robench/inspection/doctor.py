"""What ``robench doctor`` finds: versions, device, data, disk, hub, plugins."""

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
from robench._base.errors import RobenchError, UsageError

State = Literal["ok", "missing", "problem"]
LITTLE_SPACE_GIB = 2.0  # a BERT-sized victim with its resume checkpoint takes about this
HUB_SECONDS = 10.0
OPTIONAL = {
    "datasets": "hub",
    "textattack": "textattack",
    "tensorboard": "tensorboard",
    "matplotlib": "plots",
    "scikit-learn": "plots",
}
"""Package -> the extra that brings it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        section: heading it stands under.
        state: ``"missing"`` limits what can be run, ``"problem"`` should be mended.
        detail: the version, the place found, or where was looked and what to do.
    """

    section: str
    what: str
    state: State
    detail: str


def examine(
    *, data: Path | None = None, out: Path = Path("runs"), online: bool = False
) -> list[Finding]:
    """Look at everything a run needs. Trains and fetches nothing, writes nothing but its cache; the hub is asked only if ``online``.

    Args:
        data: folder of data sets.
        out: folder of runs, for the free space of its disk.
    """
    findings = [
        *_software(),
        *_device(),
        *_tasks(data),
        *_assets(data),
        *_encoders(),
        *_disk(out),
        *_plugins(),
    ]
    return [*findings, *_hub()] if online else findings


def _software() -> Iterator[Finding]:
    supported = sys.version_info >= (3, 11)
    yield Finding(
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
        yield (
            found
            if found.state == "ok"
            else Finding(
                "software", name, "missing", f"optional: pip install 'robench[{OPTIONAL[name]}]'"
            )
        )


def _requirements(extra: bool) -> set[str]:
    """Names that robench needs, or (``extra``) that its optional parts for users add."""
    from packaging.requirements import Requirement

    try:
        parsed = [Requirement(line) for line in requires("robench") or []]
    except PackageNotFoundError:
        return set()
    if not extra:
        return {requirement.name for requirement in parsed if requirement.marker is None}
    return {requirement.name for requirement in parsed if requirement.name in OPTIONAL}


def _package(name: str) -> Finding:
    try:
        return Finding("software", name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(
            "software", name, "problem", "not installed: run 'pip install robench' again"
        )


def _arithmetic() -> Finding:
    """Say whether fp32 products give a row the same bits in any company, and how that was reached."""
    if arithmetic.independent_rows():
        setting = f"{arithmetic.VARIABLE} is {arithmetic.products()}"
        detail = f"a text's fp32 result does not depend on the texts beside it ({setting})"
        return Finding("device", "arithmetic", "ok", detail)
    if (late := arithmetic.warning()) is not None:
        return Finding("device", "arithmetic", "problem", late)
    detail = (
        "a text's fp32 result depends on the texts beside it here, so searches take slower, fixed "
        "batches; their trials are the same for any number of workers all the same"
    )
    return Finding("device", "arithmetic", "ok", detail)


def _device() -> Iterator[Finding]:
    import torch

    yield Finding(
        "device",
        "threads",
        "ok",
        f"torch uses {torch.get_num_threads()} of {os.cpu_count()} processors",
    )
    yield _arithmetic()
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            yield Finding(
                "device",
                f"cuda:{index}",
                "ok",
                f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB",
            )
    elif torch.backends.mps.is_available():
        yield Finding("device", "mps", "ok", "Apple GPU")
    else:
        yield Finding("device", "gpu", "missing", "none that torch can use: runs use the processor")


def _tasks(data: Path | None) -> Iterator[Finding]:
    from robench.tasks.registry import TASKS

    where = (
        f"looked in {data} and its archives"
        if data is not None
        else "no folder was named with --data or ROBENCH_DATA"
    )
    yield Finding(
        "data",
        "folder",
        "ok" if data is not None else "missing",
        str(data.resolve()) if data is not None else where,
    )
    for entry in TASKS.entries():
        try:
            yield _load(entry.name, TASKS.get(entry.name)(), data)
        except UsageError as error:
            yield Finding(
                "data",
                entry.name,
                "missing",
                f"{' '.join(str(error).split())} (The hub was not asked.)",
            )
        except RobenchError as error:
            yield Finding("data", entry.name, "problem", " ".join(str(error).split()))
        except (
            Exception
        ) as error:  # a guest's task may fail in any way, and the rest is still worth knowing
            yield Finding("data", entry.name, "problem", f"{type(error).__name__}: {error}")


def _load(name: str, task: Any, data: Path | None) -> Finding:
    """Read the task with the first pool that the folder has; its own digest check is the point."""
    from robench.tasks.base import DataSource

    source = DataSource(folder=data, hub=False)
    first: RobenchError | None = None
    for pool in dict.fromkeys(
        (task.train_pools[0], "small" if "small" in task.train_pools else task.train_pools[-1])
    ):
        try:
            splits = task.load(source, train_pool=pool)
        except RobenchError as error:
            first = first or error
            continue
        option = "" if pool == task.train_pools[0] else f", only with --train-pool {pool}"
        sizes = f"{len(splits.train):,} train, {len(splits.dev):,} dev, {len(splits.test):,} test"
        return Finding("data", name, "ok", f"{sizes}{option} ({splits.origin})")
    assert first is not None
    raise first


def _assets(data: Path | None) -> Iterator[Finding]:
    from robench.tasks.assets import ASSETS, locate_asset

    for name, asset in sorted(ASSETS.items()):
        try:
            found = locate_asset(name, data)
        except RobenchError as error:
            yield Finding("data", name, "problem", " ".join(str(error).split()))
            continue
        detail = (
            str(found)
            if found is not None
            else f"neither in the data folder nor in the cache; a run would fetch {asset.url}"
        )
        yield Finding("data", name, "ok" if found is not None else "missing", detail)


def _encoders() -> Iterator[Finding]:
    from robench.models.encoders import ENCODERS

    hub = []
    for info in ENCODERS.values():
        folder = Path(info.location)
        if folder.is_absolute():
            whole = (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()
            yield Finding(
                "encoders",
                info.name,
                "ok" if whole else "problem",
                str(folder) if whole else f"{folder} lacks config.json or model.safetensors",
            )
        else:
            hub.append(info)
    cached = [info.name for info in hub if _in_hub_cache(info.location)]
    lacking = [info.name for info in hub if info.name not in cached]
    if cached:
        yield Finding("encoders", "in the hub's cache", "ok", ", ".join(cached))
    if lacking:
        yield Finding(
            "encoders",
            "to be fetched",
            "missing",
            f"{', '.join(lacking)}: a run would ask the hub; --encoder also takes a local folder",
        )


def _in_hub_cache(location: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(location, "config.json"), str)


def _disk(out: Path) -> Iterator[Finding]:
    from huggingface_hub import constants

    from robench.inspection.health import cache_folder as verdicts
    from robench.tasks.assets import cache_folder as assets

    for what, folder in (
        ("runs", out),
        ("robench's cache", assets()),
        ("plugin verdicts", verdicts()),
        ("hub cache", Path(constants.HF_HUB_CACHE)),
    ):
        existing = next(
            place for place in (folder.resolve(), *folder.resolve().parents) if place.exists()
        )
        free = shutil.disk_usage(existing).free / 2**30
        writable = os.access(existing, os.W_OK)
        detail = f"{folder.resolve()}: {free:.1f} GiB free" + ("" if writable else ", not writable")
        yield Finding(
            "disk", what, "ok" if writable and free >= LITTLE_SPACE_GIB else "problem", detail
        )


def _plugins() -> Iterator[Finding]:
    from robench.inspection.catalogue import REGISTRIES, rows

    for kind in REGISTRIES:
        listed = rows(kind)
        usable = [row.name for row in listed if row.problem is None]
        yield Finding("plugins", f"{kind}s", "ok", ", ".join(usable) or "none")
        for row in listed:
            if row.problem is not None:
                yield Finding("plugins", row.name, "problem", row.problem)


def _hub() -> Iterator[Finding]:
    from huggingface_hub import HfApi, constants

    try:
        HfApi().model_info("google-bert/bert-base-uncased", timeout=HUB_SECONDS)
    except Exception as error:  # its transport's errors have no common base
        yield Finding(
            "hub",
            constants.ENDPOINT,
            "missing",
            f"not reached ({type(error).__name__}): only local data and encoders can be used",
        )
        return
    yield Finding("hub", constants.ENDPOINT, "ok", "reached")
