"""Memory, kernel caches, seeds and the main process of a training run."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from robench.training.runtime import is_main_process, release_memory, stable_seed

BLOCK = 64 * 1024
"""Bytes; too small for glibc to map separately, so the block is in the heap."""


def resident() -> int:
    """Return how many bytes of this process are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="only glibc can return memory"
)
def test_freed_memory_between_used_blocks_returns_to_the_system() -> None:
    freed, kept = [], []
    for _ in range(2000):
        freed.append(bytearray(BLOCK))
        kept.append(bytearray(BLOCK))
    full = resident()
    freed.clear()
    release_memory()
    assert full - resident() > 1000 * BLOCK
    assert len(kept) == 2000


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"])
@pytest.mark.parametrize(("given", "found"), [(None, "64"), ("500", "500")])
def test_kernel_caches_are_bounded_unless_the_user_sets_a_size(
    cache: str, given: str | None, found: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != cache}
    if given is not None:
        environment[cache] = given
    code = f"import os, robench.training.loop; print(os.environ['{cache}'])"
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == found


def test_seeds_depend_on_every_part() -> None:
    assert stable_seed(0, "dev") == stable_seed(0, "dev") < 2**32
    others = {stable_seed(1, "dev"), stable_seed(0, "epoch"), stable_seed(0, "dev", 1)}
    assert len({stable_seed(0, "dev"), *others}) == 4


@pytest.mark.parametrize(
    ("world", "rank", "main"), [("1", "0", True), ("2", "0", True), ("2", "1", False)]
)
def test_the_first_of_several_processes_is_the_main_one(
    world: str, rank: str, main: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", world)
    monkeypatch.setenv("RANK", rank)
    assert is_main_process() is main
