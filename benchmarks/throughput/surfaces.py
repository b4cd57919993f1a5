"""Build the surface of made-up reviews with the embedded language model, as a run does."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from robench import Example
from robench._base.environment import Precision, available_cores
from robench.protocol import get_protocol
from robench.text.early_places import read_places_early
from robench.text.language_model import build_scorer
from robench.text.scoring_processes import scoring_in_processes, worthwhile
from robench.text.surface_building import SurfaceRequest, load_or_build
from robench.text.words import join_words
from throughput.subjects import Reviews, substitutions


def build_surface_of(number: int, words: int, device: str, folder: Path) -> float:
    """Return the seconds that the surface of ``number`` reviews of ``words`` words takes."""
    reviews, rng = Reviews("test"), np.random.default_rng(number)
    examples = [
        Example(f"made/{number}-{index}", {"text": join_words(reviews.text(words, 0, rng))}, 0)
        for index in range(number)
    ]
    protocol = get_protocol("rift2021")
    precision: Precision = "bf16" if device.startswith("cuda") else "fp32"
    request = SurfaceRequest(
        examples=examples,
        attackable="text",
        task="made",
        digest=f"{number}x{words}",
        substitutions=substitutions(),
        protocol=protocol,
        scorer=build_scorer("tiny", device, protocol.lm_radius, precision),
        max_words=words,
    )
    began = perf_counter()
    read_places_early(request.scorer)
    cores = worthwhile(request, available_cores()) if device == "cpu" else 1
    build = partial(build_scorer, "tiny", device, protocol.lm_radius, precision)
    several = scoring_in_processes(request, build, cores) if cores > 1 else nullcontext(request)
    with several as scored:
        load_or_build(folder / "surfaces", scored)
    return perf_counter() - began
