"""Tests of attacks that write texts of their own.

They check what such attacks may query, what the core accepts, and where their results appear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job
from text_cases import whole_word_tokenizer

from robench import FreeAttack, TextOracle
from robench._base.errors import RobenchError, UsageError
from robench.records.board import Board, admit
from robench.records.comparable import comparable_groups
from robench.records.notes import OUTSIDE, conditions
from robench.records.record import Record
from robench.search.attack import Trial, Verdict
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.texts import PooledTextOracle, encode_text
from robench.search.victim_protocol import Candidates
from robench.text.encoding import EncodedText, FieldEncoder
from robench.text.word_table import WordTable

WEIGHTS = {"bad": [0.0, 9.0], "worse": [0.0, 20.0], "film": [0.0, 0.0], "good": [1.0, 0.0]}


class Scripted(FreeAttack):
    """Queries ``queries``, one after the other, and returns ``answer``."""

    def __init__(self, answer: object, *queries: Sequence[str]) -> None:
        super().__init__()
        self.answer, self.queries = answer, queries
        self.seen: list[np.ndarray] = []
        self.budgets: list[int | None] = []

    def rewrite(self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator) -> Any:
        self.budgets.append(oracle.budget)
        self.seen += [oracle.probs(texts) for texts in self.queries]
        return self.answer


def attacked(attack: FreeAttack, job: Job | None = None, **settings: Any) -> Trial:
    (trial,) = run(
        FakeVictim(WEIGHTS, bias=(4, 0)),
        attack,
        "scripted",
        [job or make_job("good film", {})],
        SearchSettings(**settings),
    )
    return trial


def test_a_text_outside_the_surface_counts_if_the_victim_is_wrong_on_it() -> None:
    trial = attacked(Scripted("a bad bad film", ["bad film"]))
    assert (trial.verdict, trial.text, trial.changes, trial.adversarial_prediction) == (
        Verdict.FOOLED,
        "a bad bad film",
        (),
        1,
    )
    assert (trial.asked, trial.forwarded) == (1, 1)


def test_the_other_fields_stay_as_they_are() -> None:
    victim = FakeVictim(WEIGHTS, bias=(4, 0))
    job = make_job("good film", {}, premise="good good")
    attack = Scripted(None, ["film"])
    list(run(victim, attack, "scripted", [job]))
    powers = np.exp([4.0 + 2.0, 0.0])
    assert attack.seen[0][0] == pytest.approx(powers / powers.sum())


def test_texts_that_are_only_queried_do_not_count() -> None:
    trial = attacked(Scripted(None, ["bad film", "worse"]))
    assert (trial.verdict, trial.adversarial_prediction, trial.text) == (Verdict.HELD, None, None)


def test_nothing_is_proved_even_if_the_surface_has_one_text() -> None:
    job = make_job("good film", {})
    assert job.space.cardinality == 1
    assert attacked(Scripted(None), job).verdict == Verdict.HELD


@pytest.mark.parametrize(
    ("answer", "verdict", "problem"),
    [
        (
            "fine film",
            Verdict.HELD,
            "the attack claimed a success, but the victim is right on the returned text",
        ),
        ("good film", Verdict.HELD, "the attack returned the unchanged text as a success"),
        (7, Verdict.ERROR, "the attack returned int instead of a text"),
    ],
)
def test_rejected_claims_name_the_problem(answer: object, verdict: Verdict, problem: str) -> None:
    trial = attacked(Scripted(answer))
    assert (trial.verdict, trial.problem) == (verdict, problem)
    assert trial.disbelieved == (verdict == Verdict.HELD)


def test_a_victim_that_fails_on_the_returned_text_is_an_error() -> None:
    class Fragile(FakeVictim):
        def read(self, fields: Mapping[str, str]) -> EncodedText:
            if "boom" in fields["text"]:
                raise MemoryError("too long")
            return super().read(fields)

    (trial,) = run(
        Fragile(WEIGHTS, bias=(4, 0)), Scripted("boom"), "scripted", [make_job("good film", {})]
    )
    assert (trial.verdict, trial.problem) == (
        Verdict.ERROR,
        "the victim failed on the returned text: MemoryError: too long",
    )


def test_repeats_are_counted_and_answered_from_memory() -> None:
    attack = Scripted(None, ["bad", "film", "bad"], ["film"])
    trial = attacked(attack)
    assert (trial.asked, trial.forwarded) == (4, 2)
    assert attack.seen[0][0].tolist() == attack.seen[0][2].tolist()
    assert attack.seen[1][0].tolist() == attack.seen[0][1].tolist()


def test_the_budget_is_visible_and_enforced() -> None:
    attack = Scripted("bad", ["film"], ["film", "good", "bad"])
    trial = attacked(attack, budget=3)
    assert attack.budgets == [3]
    assert (trial.verdict, trial.asked, trial.problem) == (
        Verdict.HELD,
        3,
        "the budget of 3 rows was spent",
    )


def test_pooled_texts_of_many_lengths_get_their_own_answers() -> None:
    victim = FakeVictim(WEIGHTS, bias=(4, 0))

    class Asking(FreeAttack):
        def rewrite(
            self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
        ) -> str | None:
            texts = [" ".join(["film"] * number + [text]) for number in range(1, 6)]
            alone = [victim.probs_of_texts([{"text": each}])[0] for each in texts]
            assert oracle.probs(texts) == pytest.approx(np.array(alone))
            return None

    trials = list(
        run(
            victim,
            Asking(),
            "asking",
            [make_job("good film", {}, number=number) for number in range(20)],
        )
    )
    assert [(trial.verdict, trial.problem) for trial in trials] == [(Verdict.HELD, None)] * 20
    pooled = [rows for rows, length in victim.forwards if length == 5]
    assert max(pooled) > 8


def test_the_unknown_token_can_be_queried() -> None:
    victim = FakeVictim(WEIGHTS, bias=(4, 0))
    row = encode_text(victim, {"text": "good [UNK] film"})
    assert (
        row.ids.tolist()
        == victim.encoder_fields.candidates(
            {"text": ["good", "x", "film"]}, make_job("good x film", {}).space
        )
        .encode(np.zeros((1, 3), dtype=np.int16))[0]
        .tolist()
    )
    # The second "[UNK]" is read as ordinary text, which is three words.
    twice = encode_text(victim, {"text": "[UNK] [UNK]"})
    assert twice.lengths.tolist() == [2 + 1 + 3]


def test_each_text_of_a_pair_that_fills_the_window_has_its_own_token_types(tmp_path: Path) -> None:
    """A longer second text cuts more off the first one.

    The rows have the same length, but the token types change at another token.
    """
    table = WordTable(whole_word_tokenizer(tmp_path, tuple("abcdefgh")), "subword")
    fields = FieldEncoder(table, ["premise", "text"], "text", 11, segments=True)
    victim = SimpleNamespace(encoder_fields=fields, table=table, attackable="text")
    put: list[int] = []

    def ask(candidates: Candidates, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        put.append(len(ids))
        return np.array(
            [[candidates.types(length).sum(), 0] for length in lengths.tolist()], dtype=np.float32
        )

    oracle = PooledTextOracle(victim, make_job("h", {}, premise="a b c d e f g h"), ask, None)
    # The words of the second text and the separator after them are of type 1.
    powers = np.exp([words + 1 for words in (1, 3, 4, 2, 3)])
    assert oracle.probs(["h", "h h h", "h h h g", "h h", "h g h"])[:, 0] == pytest.approx(
        powers / (powers + 1)
    )
    assert put == [1, 2, 1, 1]
    assert oracle.probs(["h h h h"]).shape == (1, 2)


def test_gradients_are_refused_outside_the_surface() -> None:
    class Greedy(Scripted):
        access = "gradients"

    with pytest.raises(UsageError, match="outside the surface and needs gradients"):
        attacked(Greedy(None))


def test_search_of_a_free_attack_raises() -> None:
    job = make_job("good film", {})
    with pytest.raises(NotImplementedError, match="searches no space"):
        Scripted(None).search(job.space, None, 0, np.random.default_rng(0))  # type: ignore[arg-type]


def test_records_of_free_attacks_have_their_own_table(make_record: Callable[..., Record]) -> None:
    inside, outside = (
        make_record("HF"),
        make_record("FF", attack="toolkit:one", surface={"outside": True, "constrained": False}),
    )
    groups = comparable_groups({"a.json": inside, "b.json": outside})
    assert {title: list(members) for title, members in groups.items()} == {
        "toy, encoder tiny, protocol rift2021": ["a.json"],
        "toy, encoder tiny, protocol rift2021, outside the surface": ["b.json"],
    }
    assert OUTSIDE in conditions([outside])
    assert not any(line.startswith("Constrained by") for line in conditions([outside]))
    assert OUTSIDE not in conditions([inside])


def test_a_board_does_not_mix_free_attacks_with_others(make_record: Callable[..., Record]) -> None:
    board = Board(
        title="t",
        task="toy",
        encoder="tiny",
        protocol="rift2021",
        attacks=("genetic", "toolkit:one"),
        records="records",
    )
    records = {
        "a.json": make_record("HF"),
        "b.json": make_record(
            "FF", attack="toolkit:one", surface={"outside": True, "constrained": False}
        ),
    }
    with pytest.raises(
        RobenchError,
        match=r"a\.json and b\.json differ in whether the attack stays inside the surface",
    ):
        admit(board, records)
