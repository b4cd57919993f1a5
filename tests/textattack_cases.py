"""TextAttack without the network, and a victim of the embedded task for it.

Tests call ``textattack_or_skip`` before they import anything of TextAttack.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robench import TASKS, DataSource, Example
from robench.methods.textattack.installed import require_textattack

STOP_WORDS = ("the", "a", "an", "of", "and", "to", "in", "is", "it", "was", "with", "this", "that")
WORDNET = "nltk_stopwords_wordnet.tar.xz"


@cache
def textattack_or_skip() -> Path:
    """Import TextAttack with a few stop words written here, or skip the test.

    Otherwise its import would look for data on the network for minutes.

    Returns:
        The folder that another process needs as its home and NLTK folder.
    """
    import nltk

    pytest.importorskip(
        "flair", reason="TextAttack is not installed: pip install 'robench[textattack]'"
    )
    home = Path(tempfile.mkdtemp(prefix="robench-textattack-"))
    stop_words = home / "corpora" / "stopwords"
    stop_words.mkdir(parents=True)
    (stop_words / "english").write_text("\n".join(STOP_WORDS) + "\n")
    nltk.data.path.append(str(home))
    # This file tells TextAttack that it has made its downloads.
    marker = home / ".cache" / "textattack" / "post_install_check_3"
    marker.parent.mkdir(parents=True)
    marker.touch()
    with _environment("HOME", str(home)):
        require_textattack()
    return home


@cache
def wordnet_or_skip() -> None:
    """Let NLTK find the WordNet in ``ROBENCH_DATA``, or skip."""
    import nltk

    textattack_or_skip()
    archive = Path(os.environ.get("ROBENCH_DATA", "")) / WORDNET
    if not archive.is_file():
        pytest.skip(f"ROBENCH_DATA names no folder with {WORDNET}")
    folder = Path(tempfile.mkdtemp(prefix="robench-wordnet-"))
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (corpora,) = folder.rglob("corpora")
    nltk.data.path.append(str(corpora.parent))
    with _no_downloads():
        from textattack.transformations import WordSwapWordNet

        # Making a swap loads WordNet.
        WordSwapWordNet()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        yield


@contextmanager
def _no_downloads() -> Iterator[None]:
    import nltk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk, "download", lambda *_, **__: False)
        yield


@cache
def embedded_victim(protocol: str = "rift2021") -> Any:
    """Make a victim of ``tiny`` with a random head for the task ``mini-reviews``.

    Nothing is trained, so it is easy to fool.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    from robench._base.embedded import embedded_path
    from robench.models.classifier import TextClassifier
    from robench.models.victim import Victim

    folder, task = embedded_path("tiny"), TASKS.get("mini-reviews")
    torch.manual_seed(1)
    model = TextClassifier(
        AutoModel.from_pretrained(folder, trust_remote_code=False), len(task.labels)
    )
    card = {
        "name": "random",
        "task": "mini-reviews",
        "labels": list(task.labels),
        "attackable": "text",
        "fields": ["text"],
        "max_tokens": task.max_tokens,
    }
    return Victim(
        model,
        AutoTokenizer.from_pretrained(folder, trust_remote_code=False),
        card | {"protocol": protocol},
    )


@cache
def embedded_examples(count: int, protocol: str = "rift2021") -> tuple[Example, ...]:
    """Return the first test examples with labels that make most of them attackable.

    Three of four have the label that ``embedded_victim`` predicts, so that they are attacked.
    """
    examples = TASKS.get("mini-reviews")().load(DataSource()).test[:count]
    predicted = embedded_victim(protocol).predict([dict(example.fields) for example in examples])
    labels = np.where(np.arange(count) % 4 == 3, 1 - predicted, predicted)
    return tuple(
        Example(example.id, example.fields, int(label))
        for example, label in zip(examples, labels, strict=True)
    )


@cache
def embedded_surface(count: int, protocol: str = "rift2021") -> Any:
    """Build the surface of these examples, under the language model ``tiny``."""
    from robench.protocol import get_protocol
    from robench.text.language_model import build_scorer
    from robench.text.substitutions import load_substitutions
    from robench.text.surface_building import SurfaceRequest, load_or_build

    task = TASKS.get("mini-reviews")
    request = SurfaceRequest(
        examples=embedded_examples(count, protocol),
        attackable="text",
        task="mini-reviews",
        digest="0" * 64,
        substitutions=load_substitutions(task.substitutions),
        protocol=get_protocol(protocol),
        scorer=build_scorer("tiny"),
        max_words=task.max_tokens,
    )
    return load_or_build(Path(tempfile.mkdtemp(prefix="robench-surface-")), request)


def embedded_jobs(count: int, *, constrained: bool) -> list[Any]:
    """Return the jobs of these examples, as the engine gets them."""
    from robench.search.jobs import make_jobs

    victim = embedded_victim()
    surface, threshold = embedded_surface(count), victim.protocol.lm_threshold
    return list(
        make_jobs(
            embedded_examples(count), surface, victim, constrained=constrained, threshold=threshold
        )
    )
