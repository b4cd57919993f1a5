"""Texts of the files that ``robench new`` writes; ``$name``, ``$stem``, ``$cls``, ``$binding``, ``$wing`` and ``$kind`` are filled in."""

from __future__ import annotations

DEFENSE = '''"""$cls: one line on what it does.

Citation of the paper. Where this departs from it stands in ``deviations``.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from robench import DEFENSES, Batch, Defense
from robench.victims.classifier import TextClassifier


@DEFENSES.register("$name")
class $cls(Defense):
    """One line on what it does, for 'robench list'."""

    paper = "Who, title, where and when"
    deviations: ClassVar[tuple[str, ...]] = ()

    class Options(Defense.Options):
        """Its own settings beside those of every defense."""

        strength: float = Field(0.1, ge=0, description="Weight of the entropy term.", json_schema_extra={"unit": "per nat"})

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Cross-entropy that rewards unsure answers (a placeholder: put the method's own loss here)."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        logs = log_softmax(logits, dim=-1)
        entropy = -(logs.exp() * logs).sum(dim=-1).mean()
        return cross_entropy(logits, batch.labels) - self.options.strength * entropy
'''

DEFENSE_TEST = '''"""$cls on a small random encoder: it is found by name, trains, and its option matters."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel

from robench import DEFENSES, Batch
from robench.errors import UsageError
from robench.options import build_options
from robench.victims.classifier import TextClassifier
$binding

def small_model() -> TextClassifier:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=16)
    return TextClassifier(BertModel(config), 2, 8).eval()


def small_batch() -> Batch:
    ids = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
    return Batch(input_ids=ids, attention_mask=(ids != 0).long(), token_type_ids=torch.zeros_like(ids), labels=torch.tensor([0, 1]))


def test_it_is_registered() -> None:
    assert DEFENSES.get("$name") is $cls
    assert DEFENSES.name_of($cls) == "$name"


def test_a_step_lowers_its_loss() -> None:
    model, batch, defense = small_model(), small_batch(), $cls()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = defense.loss(model, batch)
    before.backward()
    optimizer.step()
    assert defense.loss(model, batch).item() < before.item()


def test_its_option_matters() -> None:
    model, batch = small_model(), small_batch()
    losses = [$cls(build_options($cls.Options, {"strength": value}, "defense '$name'")).loss(model, batch).item() for value in (0.0, 1.0)]
    assert losses[0] != losses[1]


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UsageError, match="has no option 'strenght'"):
        build_options($cls.Options, {"strenght": 1}, "defense '$name'")
'''

ATTACK = '''"""$cls: one line on what it does.

Citation of the paper. Where this departs from it stands in ``deviations``.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace


@ATTACKS.register("$name")
class $cls(Attack):
    """One line on what it does, for 'robench list'."""

    paper = "Who, title, where and when"
    deviations: ClassVar[tuple[str, ...]] = ()
    language_model = True

    class Options(Attack.Options):
        """Its settings."""

        rounds: int = Field(3, ge=1, description="Words replaced at most.", json_schema_extra={"unit": "words"})

    options: Options

    def search(self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> Choice | None:
        """Replace, word by word, the one whose replacement hurts most (a placeholder: put the method's own search here)."""
        current = space.original()
        for _ in range(self.options.rounds):
            neighbours = [change(current, position, option) for position in space.positions for option in range(1, space.sizes[position])]
            if not neighbours:
                return None
            probs = oracle.probs(np.stack(neighbours))
            best = int(probs[:, label].argmin())
            current = neighbours[best]
            if int(probs[best].argmax()) != label:
                return current
        return None


def change(choice: Choice, position: int, option: int) -> Choice:
    """``choice`` with another option at one position."""
    changed = choice.copy()
    changed[position] = option
    return changed
'''

ATTACK_TEST = '''"""$cls against planted victims: it finds what is there, and returns None where nothing is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robench import ATTACKS, SearchSpace
$binding
SPACE = SearchSpace(words=("a", "good", "film"), options=(("a",), ("good", "fine", "decent"), ("film", "movie")), visible=3)


class Planted:
    """A victim that answers 1 only where every position holds one wanted option, and leans that way with each one that does."""

    def __init__(self, wanted: tuple[int, ...]) -> None:
        self.wanted = np.array(wanted)

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        agree = (choices == self.wanted).mean(axis=1)
        wrong = np.where(agree == 1, 0.9, 0.4 * agree)
        return np.stack([1 - wrong, wrong], axis=1).astype(np.float32)

    logits = probs

    def probs_without(self, choice: NDArray[np.int16], positions: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.repeat(self.probs(choice[None]), len(positions), axis=0)


def test_it_is_registered() -> None:
    assert ATTACKS.get("$name") is $cls
    assert ATTACKS.name_of($cls) == "$name"


def test_it_breaks_a_planted_victim() -> None:
    found = $cls().search(SPACE, Planted((0, 2, 1)), 0, np.random.default_rng(0))
    assert found is not None
    assert SPACE.text(found) == ("a", "decent", "movie")


def test_it_gives_up_where_nothing_fools() -> None:
    assert $cls().search(SPACE, Planted((9, 9, 9)), 0, np.random.default_rng(0)) is None


def test_a_text_without_substitutes_is_no_crash() -> None:
    bare = SearchSpace(words=("a",), options=(("a",),), visible=1)
    assert $cls().search(bare, Planted((1,)), 0, np.random.default_rng(0)) is None
'''

PACKAGE = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "robench-$name"
version = "0.1.0"
description = "The $kind '$name' for robench."
requires-python = ">=3.11"
dependencies = ["robench"]

[project.entry-points."robench.$wing"]
$name = "$stem:$cls"

[tool.setuptools]
py-modules = ["$stem"]
"""

PLUGINS = {"attack": ATTACK, "defense": DEFENSE}
TESTS = {"attack": ATTACK_TEST, "defense": DEFENSE_TEST}
