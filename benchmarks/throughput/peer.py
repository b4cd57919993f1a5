"""TextAttack in a process of its own.

Importing TextAttack silences loggers and sets seeds, which must not affect the engine's figures.

``python -m throughput.peer FOLDER`` reads requests from stdin, one JSON object a line, and answers
each with rows and CPU seconds. A search is suspended when its time is over, and continues with the
next request. So all its phases are measured, however short the single times are. Nothing is
downloaded: the attacks are built from TextAttack's parts, with robench's substitutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from time import process_time
from types import TracebackType
from typing import Any

from throughput.limit import Clock
from throughput.subjects import load_victim, make_jobs, substitutions, write_line

TEXTS = 50
"""Number of different texts of each length."""
TOKENS = 512
"""The maximum length of BERT's tokenizers, to which TextAttack pads."""


class Peer:
    """The TextAttack process, seen from the parent process.

    Args:
        folder: holds one folder for each victim, and TextAttack's caches.
    """

    def __init__(self, folder: Path) -> None:
        words = folder / "nltk_data" / "corpora" / "stopwords"
        words.mkdir(parents=True, exist_ok=True)
        # TextAttack cannot be imported without such a list, although no attack here uses it.
        (words / "english").write_text("the\n", encoding="utf-8")
        paths = [str(Path(__file__).parents[1]), *(path for path in sys.path if path)]
        where = {
            "NLTK_DATA": str(folder / "nltk_data"),
            "TA_CACHE_DIR": str(folder / "textattack"),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        self._log = folder / "textattack.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "throughput.peer", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("w"),
            text=True,
            env=os.environ
            | where
            | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
        )

    def measure(
        self, victim: str, attack: str, words: int, *, fixed: bool, seconds: float
    ) -> Clock:
        """Continue the search for about ``seconds`` of CPU time.

        Raises:
            RuntimeError: the process ended; the message holds its last output.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        write_line(
            self._process.stdin,
            {
                "victim": victim,
                "attack": attack,
                "words": words,
                "fixed": fixed,
                "seconds": seconds,
            },
        )
        line = self._process.stdout.readline()
        if not line:
            output = self._log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"TextAttack ended: {output[-2000:]}")
        return Clock(**json.loads(line))

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


# The TextAttack process. TextAttack is imported only here.


def serve(folder: Path) -> None:
    """Answer requests until there are no more."""
    import nltk

    answers = os.fdopen(os.dup(1), "w")
    # What TextAttack prints goes to stderr.
    os.dup2(2, 1)
    # TextAttack asks for corpora that no attack here uses.
    nltk.download = lambda *args, **options: True
    import torch

    torch.set_num_threads(1)
    attackers: dict[tuple[str, str, int, bool], Any] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = asked.pop("seconds")
        key = tuple(asked.values())
        if key not in attackers:
            attackers[key] = _attacker(folder, **asked)
            # The first call warms up.
            attackers[key](0.0)
        write_line(answers, attackers[key](seconds))


def _attacker(folder: Path, victim: str, attack: str, words: int, fixed: bool) -> Any:
    """Return a function that attacks for some seconds and returns the fields of ``Clock``."""
    from greenlet import getcurrent, greenlet
    from textattack.models.wrappers import HuggingFaceModelWrapper

    asked = load_victim(folder / victim)

    class Metered(HuggingFaceModelWrapper):
        """TextAttack's own wrapper, which also counts rows and stops when its time is over."""

        rows, deadline = 0, 0.0

        def __call__(self, texts: Sequence[str]) -> Any:
            logits = super().__call__(texts)
            self.rows += len(texts)
            if process_time() >= self.deadline:
                getcurrent().parent.switch()
            return logits

    wrapper = Metered(_hosted(asked.model), _tokenizer(asked.tokenizer, fixed))
    built = _attack(attack, wrapper)
    jobs = list(make_jobs(asked, words, TEXTS))

    def forever() -> None:
        for job in cycle(jobs):
            built.attack(job.example.fields["text"], job.example.label)

    thread = greenlet(forever)

    def attack_for(seconds: float) -> dict[str, float]:
        wrapper.rows, began = 0, process_time()
        wrapper.deadline = began + seconds
        thread.switch()
        return {"seconds": process_time() - began, "rows": wrapper.rows}

    return attack_for


def _attack(name: str, wrapper: Any) -> Any:
    """Build an attack from a recipe's parts, with robench's substitutes.

    The searches are those of PWWSRen2019 and AlzantotGeneticAlgorithm.
    """
    from textattack import Attack
    from textattack.constraints.pre_transformation import RepeatModification
    from textattack.goal_functions import UntargetedClassification
    from textattack.search_methods import AlzantotGeneticAlgorithm, GreedyWordSwapWIR
    from textattack.transformations import WordSwap

    class Swap(WordSwap):
        """A transformation that takes substitutes from the embedded set."""

        def _get_replacement_words(self, word: str) -> list[str]:
            return list(substitutions().of(word, "cased"))

    searches = {
        "pwws": lambda: GreedyWordSwapWIR("weighted-saliency"),
        "genetic": lambda: AlzantotGeneticAlgorithm(pop_size=60, post_crossover_check=False),
    }
    constraints = [RepeatModification()] if name == "pwws" else []
    return Attack(UntargetedClassification(wrapper), constraints, Swap(), searches[name]())


def _tokenizer(tokenizer: Any, fixed: bool) -> Any:
    """Return the victim's tokenizer.

    TextAttack asks for padding to the maximum; ``fixed`` pads to the longest row instead.
    """
    from transformers import BertTokenizerFast

    class Padded(BertTokenizerFast):
        def __call__(self, *args: Any, **options: Any) -> Any:
            return super().__call__(*args, **(options | {"padding": True}))

    kind = Padded if fixed else BertTokenizerFast
    return kind(
        tokenizer_object=tokenizer.backend_tokenizer, do_lower_case=True, model_max_length=TOKENS
    )


def _hosted(model: Any) -> Any:
    """Return the engine's own classifier in the form that TextAttack's wrapper needs."""
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    class Hosted(PreTrainedModel):
        # The encoder inside has its attention already.
        _supports_sdpa = True

        def __init__(self) -> None:
            super().__init__(model.encoder.config)
            self.inside = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            return SequenceClassifierOutput(
                logits=self.inside(input_ids, attention_mask, token_type_ids)
            )

    return Hosted().eval()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
