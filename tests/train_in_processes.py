"""Train on the planted task under a launcher, which starts this program in every process.

``tests/integration/test_several_processes.py`` uses it. Usage:

    train_in_processes.py ENCODER OUT DEFENSE...
"""

from __future__ import annotations

import sys
from pathlib import Path

from victim_cases import planted_splits, request

from robench.training.loop import fit

OWN = {"augmentation": {"share": 0.5, "attack": "random", "epochs": 4}}
SETTINGS = {"epochs": 2, "batch_size": 10, "dev_examples": 8, "learning_rate": 1e-3}


def main(encoder: Path, out: Path, defenses: list[str]) -> None:
    for defense in defenses:
        options = {**SETTINGS, **OWN.get(defense, {})}
        fit(request(encoder, defense, planted_splits(46, 8), options=options), out / defense)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
