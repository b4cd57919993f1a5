"""Pre-train robench's embedded ``tiny`` encoder from random weights on IMDB text, on a CPU.

The script reads the unlabelled and the training reviews (``--data`` or ROBENCH_DATA: the unpacked
``aclImdb`` folder or its two archives). It trains a lower-case WordPiece vocabulary and a small
BERT, and writes a Hugging Face folder: weights in fp16, config, tokenizer, model card and
``training.json``.

Sources of the choices:

* masked language modelling with 80/10/10, WordPiece, pooler: BERT (Devlin et al. 2019); whole-word
  masking: its later release; AdamW with betas (.9, .98), eps 1e-6: RoBERTa (Liu et al. 2019);
* word embeddings from an SVD of positive PMI: Levy, Goldberg and Dagan 2015 (context counts^.75,
  S^.5); with this budget they save minutes of training;
* bag-of-words loss on the pooled [CLS], peak rate 3e-3, 18 % masking, plain attention with bf16
  autocast: trials by this project on two CPU cores (their effect:
  docs/studies/pretraining-pays.md);
* attention that begins close to an average of the neighbours: Trockman and Kolter 2023;
* half of the reviews in the form with one token a word: the evaluation protocol of Jia et al. 2019.

The schedule follows the used share of ``--minutes`` (or tokens, or steps), so a run ends on time
even on a busy machine. A run that was killed continues from its last checkpoint if it is started
again with ``--resume``.
"""

from __future__ import annotations

import ctypes
import logging
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch

from scripts.pretraining.export import export
from scripts.pretraining.text import prepare_corpus
from scripts.pretraining.trainer import Options, Trainer

logger = logging.getLogger("pretrain_encoder")


def command_line(options: Options) -> str:
    """Return the command that repeats the run; it names no path, because of ROBENCH_DATA."""
    flags = {name: value for name, value in asdict(options).items() if value or name == "seed"}
    shown = []
    for name, value in flags.items():
        written = format(value, "g") if isinstance(value, float) else value
        shown.append(f"--{name.replace('_', '-')} {written}")
    return f"python -m scripts.pretrain_encoder --out robench/embedded/tiny {' '.join(shown)}"


def keep_memory() -> None:
    """Make glibc keep freed blocks.

    The memory of the logits (megabytes) is then mapped once, and not again in every step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
        for parameter in (-1, -3):
            mallopt(parameter, 1 << 30)


@click.command(help="Pre-train the embedded tiny encoder on IMDB text.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    envvar="ROBENCH_DATA",
    required=True,
    help="Folder of the IMDB data.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Model folder to write."
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of caches and checkpoints (default: in the system's temporary folder).",
)
@click.option("--layers", default=2, show_default=True)
@click.option("--hidden", default=128, show_default=True)
@click.option("--heads", default=2, show_default=True)
@click.option(
    "--vocab", default=24000, show_default=True, help="Vocabulary entries, at most 65,535."
)
@click.option(
    "--minutes",
    default=0.0,
    help="Budget of training time (default 45 if no other budget is given).",
)
@click.option("--tokens", default=0, help="Budget in tokens instead.")
@click.option("--steps", default=0, help="Budget in steps instead.")
@click.option("--batch", default=64, show_default=True, help="Windows a step.")
@click.option("--rate", default=3e-3, show_default=True, help="Peak learning rate.")
@click.option("--bag-loss", default=0.5, show_default=True, help="Weight of the bag-of-words loss.")
@click.option("--seed", default=0, show_default=True)
@click.option("--precision", type=click.Choice(["bf16", "fp32"]), default="bf16", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--limit", default=0, help="Use a sample of this many reviews (trials).")
@click.option("--nice", default=0, help="Lower the process's priority by this much.")
@click.option("--resume/--fresh", default=False, help="Continue from the last checkpoint.")
@click.option("--log-seconds", default=60.0, show_default=True)
@click.option("--save-seconds", default=120.0, show_default=True)
def main(
    data: Path,
    out: Path,
    work: Path | None,
    nice: int,
    resume: bool,
    log_seconds: float,
    save_seconds: float,
    **flags: Any,
) -> None:
    """Run from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.nice(nice)
    budgets = [name for name in ("minutes", "tokens", "steps") if flags[name]]
    if len(budgets) > 1:
        raise click.UsageError("give one of --minutes, --tokens and --steps")
    options = Options(**{**flags, "minutes": flags["minutes"] if budgets else 45.0})
    torch.set_num_threads(options.threads)
    work = work or Path(tempfile.gettempdir()) / "robench-pretrain"
    corpus = prepare_corpus(data, work, options.vocab, options.limit)
    trainer = Trainer(options, corpus, work)
    trainer.start(resume)
    torch.set_num_threads(1)
    keep_memory()
    trainer.run(log_seconds, save_seconds)
    training = trainer.summary(command_line(options))
    export(trainer.model, corpus, training, out)
    logger.info("held out: %s", training["held_out"])


if __name__ == "__main__":
    main()
