"""Save adversarial texts as a JSONL file, for adversarial training with any other tool.

    python examples/export_for_training.py

Each line has the adversarial text and the label of the original text.
"""

from __future__ import annotations

from pathlib import Path

import robench


def main() -> None:
    """Attack a victim and save the texts that fooled it."""
    results = robench.evaluate(
        defenses="standard",
        task="mini-reviews",
        attacks="pwws",
        limit=100,
        options={"defense.epochs": 1, "defense.train_examples": 1000},
    )
    trials = results.trials
    fooled = trials[trials["verdict"] == "fooled"]
    lines = fooled[["adversarial_text", "label"]].rename(columns={"adversarial_text": "text"})
    path = Path("adversarial.jsonl")
    lines.to_json(path, orient="records", lines=True, force_ascii=False)
    print(f"{len(lines)} adversarial texts are in {path}.")


if __name__ == "__main__":
    main()
