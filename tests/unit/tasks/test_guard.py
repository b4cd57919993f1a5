"""Guards: other data are refused, and the sentence says where they differ."""

from __future__ import annotations

import pytest

from robench._base.errors import UsageError
from robench.tasks.example import Example
from robench.tasks.frozen import RawRow, make_examples, pick_balanced
from robench.tasks.guard import Guard


def rows_of(count: int, classes: int = 2) -> list[RawRow]:
    return [({"text": f"text {number}"}, number % classes) for number in range(count)]


class TestGuard:
    rows = rows_of(300)

    def pick(self, rows: list[RawRow]) -> list[Example]:
        return pick_balanced(make_examples("t", rows), 100, 2)

    def test_the_same_data_pass_in_any_order(self) -> None:
        guard = Guard.of(self.pick(self.rows), self.rows)
        assert guard.rows == (150, 150)
        # Five blocks of 20 examples, two hex digits each.
        assert len(guard.blocks) == 10
        guard.check("They", self.pick(self.rows[::-1]), self.rows[::-1], "here")

    def test_pick_also_checks(self) -> None:
        picked = self.pick(self.rows)
        guard, everything = Guard.of(picked, self.rows), make_examples("t", self.rows)
        assert guard.pick("They", everything, len(picked), self.rows, "here") == picked
        with pytest.raises(UsageError, match=r"They come from other data.*--task FILE\.$"):
            guard.pick("They", everything, len(picked) - 2, self.rows, "here")
        with pytest.raises(
            UsageError, match=r"^They \(here\): .* balanced ones.*data of your own.*--task FILE\.$"
        ):
            guard.pick("They", everything, 1000, self.rows, "here")

    def test_a_missing_example_is_located(self) -> None:
        picked = self.pick(self.rows)
        guard = Guard.of(picked, self.rows)
        lost = picked[47].fields["text"]
        rows = [row for row in self.rows if row[0]["text"] != lost]
        with pytest.raises(UsageError) as caught:
            guard.check("The test examples of t", self.pick(rows), rows, "folder x")
        sentence = str(caught.value)
        label = picked[47].label
        assert sentence.startswith(
            "The test examples of t come from other data than the published ones: rows per label "
        )
        rows_left = "149 + 150" if label == 0 else "150 + 149"
        assert f"rows per label {rows_left} instead of 150 + 150; digest " in sentence
        assert f" instead of {guard.digest[:16]}; the first difference lies " in sentence
        # Position 47 lies in the third block of 20 examples.
        assert f"between the ids {picked[40].id} and " in sentence
        assert "(folder x)" in sentence

    def test_a_row_lost_outside_the_pick_is_noticed(self) -> None:
        picked = self.pick(self.rows)
        texts = {example.fields["text"] for example in picked}
        unpicked = next(index for index, row in enumerate(self.rows) if row[0]["text"] not in texts)
        rows = self.rows[:unpicked] + self.rows[unpicked + 1 :]
        with pytest.raises(
            UsageError, match=r"149.* instead of 150 \+ 150\. What was read \(here\)"
        ):
            Guard.of(picked, self.rows).check("They", self.pick(rows), rows, "here")

    def test_a_changed_label_is_noticed(self) -> None:
        rows = [(fields, label) for fields, label in self.rows]
        rows[0] = (rows[0][0], 1)
        rows[1] = (rows[1][0], 0)
        with pytest.raises(UsageError, match="other data than the published ones"):
            Guard.of(self.pick(self.rows), self.rows).check("They", self.pick(rows), rows, "here")

    def test_a_short_pick_says_how_short(self) -> None:
        picked = self.pick(self.rows)
        with pytest.raises(UsageError, match=r"40 were picked"):
            Guard.of(picked, self.rows).check("They", picked[:40], self.rows, "here")
