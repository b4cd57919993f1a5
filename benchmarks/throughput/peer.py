"""TextAttack, in a process of its own: importing it silences loggers and sets seeds, which must not touch the engine's measure.

``python -m throughput.peer FOLDER`` reads questions from stdin, a JSON object a line, and answers each with rows and CPU seconds. A search is set aside when
its share of time is over and goes on at the next question, so that all its phases are measured however little time there is at once. Nothing is
downloaded: the attacks are put together from TextAttack's parts over robench's substitutes.
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
"""Different texts of each length."""
TOKENS = 512
"""What BERT's tokenizers call their maximum, up to which TextAttack pads."""


class Peer:
    """The parent's end of the line.

    Args:
        folder: holds one folder a victim, and is given TextAttack's caches.
    """

    def __init__(self, folder: Path) -> None:
        words = folder / "nltk_data" / "corpora" / "stopwords"
        words.mkdir(parents=True, exist_ok=True)
        (words / "english").write_text(
            "the\n", encoding="utf-8"
        )  # TextAttack cannot be imported without such a list, and no attack here looks at it
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
        """Go on for about ``seconds`` of CPU time.

        Raises:
            RuntimeError: TextAttack ended; the message holds its last words.
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
            raise RuntimeError(
                f"TextAttack ended: {self._log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
            )
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


# -- the other end: only there is TextAttack imported ------------------------------------------------------------------------------------------


def serve(folder: Path) -> None:
    """Answer questions until there are no more."""
    import nltk

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever TextAttack prints
    nltk.download = lambda *args, **options: (
        True
    )  # it asks for corpora that no attack here looks at
    import torch

    torch.set_num_threads(1)
    attackers: dict[tuple[str, str, int, bool], Any] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = asked.pop("seconds")
        key = tuple(asked.values())
        if key not in attackers:
            attackers[key] = _attacker(folder, **asked)
            attackers[key](0.0)  # warms up
        write_line(answers, attackers[key](seconds))


def _attacker(folder: Path, victim: str, attack: str, words: int, fixed: bool) -> Any:
    """A function that attacks for so many seconds and returns ``Clock``'s fields."""
    from greenlet import getcurrent, greenlet
    from textattack.models.wrappers import HuggingFaceModelWrapper

    asked = load_victim(folder / victim)

    class Metered(HuggingFaceModelWrapper):
        """TextAttack's own wrapper, which counts rows and stops when its time is over."""

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
    """The recipe's parts over robench's substitutes: PWWSRen2019's search; AlzantotGeneticAlgorithm's."""
    from textattack import Attack
    from textattack.constraints.pre_transformation import RepeatModification
    from textattack.goal_functions import UntargetedClassification
    from textattack.search_methods import AlzantotGeneticAlgorithm, GreedyWordSwapWIR
    from textattack.transformations import WordSwap

    class Swap(WordSwap):
        """Substitutes of the embedded set."""

        def _get_replacement_words(self, word: str) -> list[str]:
            return list(substitutions().of(word, "cased"))

    searches = {
        "pwws": lambda: GreedyWordSwapWIR("weighted-saliency"),
        "genetic": lambda: AlzantotGeneticAlgorithm(pop_size=60, post_crossover_check=False),
    }
    constraints = [RepeatModification()] if name == "pwws" else []
    return Attack(UntargetedClassification(wrapper), constraints, Swap(), searches[name]())


def _tokenizer(tokenizer: Any, fixed: bool) -> Any:
    """The victim's; ``fixed`` overrules the padding to the maximum that TextAttack asks for by padding to the longest row."""
    from transformers import BertTokenizerFast

    class Padded(BertTokenizerFast):
        def __call__(self, *args: Any, **options: Any) -> Any:
            return super().__call__(*args, **(options | {"padding": True}))

    kind = Padded if fixed else BertTokenizerFast
    return kind(
        tokenizer_object=tokenizer.backend_tokenizer, do_lower_case=True, model_max_length=TOKENS
    )


def _hosted(model: Any) -> Any:
    """The very classifier that the engine asks, in the dress that TextAttack's wrapper insists on."""
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    class Hosted(PreTrainedModel):
        _supports_sdpa = True  # as the encoder inside, which has its attention already

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
