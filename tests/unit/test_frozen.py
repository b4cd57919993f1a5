from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.errors import UsageError
from robench.tasks import frozen
from robench.tasks.base import Example
from robench.tasks.frozen import Guard, Row, clean, digest, identify, make_examples, make_splits, normal_form, pick_balanced, pick_listed, without

texts = st.text(alphabet=st.sampled_from("ab \n\t<br />\xa0é"), max_size=12)
row_lists = st.lists(st.tuples(st.fixed_dictionaries({"text": texts}), st.integers(0, 2)), max_size=30)


def rows_of(count: int, classes: int = 2) -> list[Row]:
    return [({"text": f"text {number}"}, number % classes) for number in range(count)]


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A fine<br />film.", "A fine film."),
        ("one<br /><br />two", "one two"),
        ("  first\r\nsecond\tthird \n", "first second third"),
        ("wide\xa0space\x85next\u2028line", "wide space next line"),
        ("<br />\n", ""),
        ("<br\n/>kept apart", "kept apart"),  # white space is collapsed first
        ("a <br> b <BR /> c", "a <br> b <BR /> c"),  # no other spelling occurs in IMDB
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(texts)
def test_clean_depends_on_the_normal_form_only_and_is_idempotent(text: str) -> None:
    assert clean(normal_form(text)) == clean(text)
    assert clean(clean(text)) == clean(text) or "<br />" in clean(text)


def test_the_id_is_what_the_rule_says() -> None:
    """Golden: ``printf '["imdb",{"text":"A fine<br />film."}]' | sha256sum`` begins with f0610263b98748d5, computed outside Python."""
    assert identify("imdb", [({"text": " A  fine<br />film.\n"}, 1)]) == ["imdb/f0610263b98748d5"]
    pair = {"premise": "Café dogs.", "hypothesis": "A dog sleeps."}  # JSON in ASCII, keys sorted
    assert identify("snli", [(pair, 0)]) == ["snli/1677d8e265f94a9b"]
    assert identify("snli", [(dict(reversed(pair.items())), 2)]) == ["snli/1677d8e265f94a9b"]


def test_task_field_and_text_are_part_of_the_id() -> None:
    ids = [identify(task, [({field: text}, 0)])[0].split("/")[1] for task, field, text in [("a", "f", "x"), ("b", "f", "x"), ("a", "g", "x"), ("a", "f", "X")]]
    assert len(set(ids)) == 4


def test_repetitions_are_counted_by_label_then_in_order() -> None:
    rows: list[Row] = [({"text": "x"}, 1), ({"text": "y"}, 0), ({"text": " x "}, 0), ({"text": "x"}, 0)]
    base = identify("t", rows[:1])[0]
    assert identify("t", rows) == [f"{base}-2", identify("t", rows[1:2])[0], base, f"{base}-1"]


@given(row_lists, st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(rows: list[Row], rng: random.Random) -> None:
    examples = make_examples("t", rows)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert make_examples("t", shuffled) == examples
    assert digest(make_examples("t", shuffled)) == digest(examples)


@given(row_lists)
def test_every_row_becomes_one_example_with_an_id_of_its_own(rows: list[Row]) -> None:
    examples = make_examples("t", rows)
    assert len({example.id for example in examples}) == len(rows)
    assert [example.id for example in examples] == sorted(example.id for example in examples)
    assert Counter((example.fields["text"], example.label) for example in examples) == Counter((clean(fields["text"]), label) for fields, label in rows)
    assert sorted(identify("t", rows)) == [example.id for example in examples]


@given(row_lists)
def test_every_text_has_exactly_one_uncounted_id(rows: list[Row]) -> None:
    uncounted = [identity for identity in identify("t", rows) if "-" not in identity]
    assert len(uncounted) == len({normal_form(fields["text"]) for fields, _ in rows})


@given(st.integers(2, 4), st.integers(1, 30), st.integers(0, 2**31))
def test_the_pick_is_balanced_smallest_and_sorted(classes: int, total: int, seed: int) -> None:
    examples = make_examples("t", rows_of(40 * classes, classes))
    random.Random(seed).shuffle(examples)
    picked = pick_balanced(examples, total, classes)
    counts = [sum(example.label == label for example in picked) for label in range(classes)]
    assert sum(counts) == total
    assert max(counts) - min(counts) <= 1
    assert counts == sorted(counts, reverse=True)  # the first labels have one more
    assert [example.id for example in picked] == sorted(example.id for example in picked)
    for label in range(classes):
        mine = sorted(example.id for example in examples if example.label == label)
        assert [example.id for example in picked if example.label == label] == mine[: counts[label]]


def test_a_thousand_over_three_classes() -> None:
    picked = pick_balanced(make_examples("t", rows_of(1200, 3)), 1000, 3)
    assert Counter(example.label for example in picked) == {0: 334, 1: 333, 2: 333}


def test_a_repetition_is_never_picked() -> None:
    examples = make_examples("a-task", rows_of(10) + rows_of(10) + rows_of(6))
    picked = pick_balanced(examples, 10, 2)
    assert len({example.fields["text"] for example in picked}) == 10
    with pytest.raises(UsageError, match=r"6 examples of label 0 are needed for 12 balanced ones, but the data hold only 5"):
        pick_balanced(examples, 12, 2)


def test_without_folds_case_and_white_space_and_ignores_labels() -> None:
    examples = make_examples("t", [({"text": text}, 0) for text in ("One  film", "two films", "three")])
    others = make_examples("t", [({"text": "ONE film "}, 1)])
    assert {example.fields["text"] for example in without(examples, others, [])} == {"two films", "three"}
    assert without(examples) == examples


def test_pairs_are_equal_only_if_both_fields_are() -> None:
    a, b = make_examples("t", [({"premise": "x", "hypothesis": "y"}, 0), ({"premise": "y", "hypothesis": "x"}, 0)])
    assert without([a], [b]) == [a]


def test_the_digest_sees_ids_labels_texts_and_order() -> None:
    one, two = make_examples("t", rows_of(2))
    changed = [
        [two, one],
        [one],
        [Example(one.id + "0", one.fields, one.label), two],
        [Example(one.id, one.fields, 1 - one.label), two],
        [Example(one.id, {"text": "other"}, one.label), two],
        [Example(one.id, {"other": one.fields["text"]}, one.label), two],
    ]
    digests = {digest(examples) for examples in changed} | {digest([one, two])}
    assert len(digests) == len(changed) + 1


def test_splits_name_their_test_examples_by_number_or_list() -> None:
    train, dev, test = (make_examples("t", rows_of(number)) for number in (6, 4, 2))
    splits = make_splits(train, dev, test, pool="small", ids=None, origin="here")
    assert (splits.train, splits.dev, splits.test, splits.train_pool, splits.origin) == (train, dev, test, "small", "here")
    assert (splits.test_name, splits.digest) == ("frozen-2", digest(test))
    assert make_splits(train, dev, test, pool="small", ids=Path("lists/jia.txt"), origin="here").test_name == "jia"


class TestGuard:
    rows = rows_of(300)

    def pick(self, rows: list[Row]) -> list[Example]:
        return pick_balanced(make_examples("t", rows), 100, 2)

    def test_the_same_data_pass(self) -> None:
        guard = Guard.of(self.pick(self.rows), self.rows)
        assert guard.rows == (150, 150)
        assert len(guard.blocks) == 10  # five blocks of 20
        guard.check("They", self.pick(self.rows[::-1]), self.rows[::-1], "here")

    def test_picking_and_checking_in_one(self) -> None:
        picked = self.pick(self.rows)
        guard, everything = Guard.of(picked, self.rows), make_examples("t", self.rows)
        assert guard.pick("They", everything, len(picked), self.rows, "here") == picked
        with pytest.raises(UsageError, match="They come from other data"):
            guard.pick("They", everything, len(picked) - 2, self.rows, "here")
        with pytest.raises(UsageError, match="balanced ones"):
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
        assert sentence.startswith("The test examples of t come from other data than the published ones: rows per label ")
        assert f"rows per label {'149 + 150' if label == 0 else '150 + 149'} instead of 150 + 150; digest " in sentence
        assert f" instead of {guard.digest[:16]}; the first difference lies " in sentence
        # position 47 lies in the third block of 20 (one earlier if a label's pick moved the border)
        assert f"between the ids {picked[40].id} and " in sentence
        assert "(folder x)" in sentence

    def test_a_row_lost_outside_the_pick_is_noticed(self) -> None:
        picked = self.pick(self.rows)
        texts = {example.fields["text"] for example in picked}
        unpicked = next(index for index, row in enumerate(self.rows) if row[0]["text"] not in texts)
        rows = self.rows[:unpicked] + self.rows[unpicked + 1 :]
        with pytest.raises(UsageError, match=r"149.* instead of 150 \+ 150\. What was read \(here\)"):
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


class TestListed:
    rows = rows_of(8)
    examples = make_examples("t", rows)
    names: ClassVar = dict(zip((f"pos/{number}.txt" for number in range(8)), identify("t", rows), strict=True))

    def write(self, folder: Path, *lines: str) -> Path:
        path = folder / "my_list.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    def test_names_and_ids_may_be_mixed(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "pos/3.txt", "", f"  {self.examples[0].id}  ", "pos/5.txt", "")
        picked = pick_listed(path, self.examples, self.names)
        assert {example.id for example in picked} == {self.names["pos/3.txt"], self.examples[0].id, self.names["pos/5.txt"]}
        assert picked == sorted(picked, key=lambda example: example.id)

    def test_a_longer_list_gives_its_first_lines(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frozen, "TEST_SIZE", 2)
        path = self.write(tmp_path, "pos/6.txt", "", "pos/1.txt", "pos/0.txt", "never read")
        assert {example.id for example in pick_listed(path, self.examples, self.names)} == {self.names["pos/6.txt"], self.names["pos/1.txt"]}

    def test_a_line_that_names_nothing_is_named(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "pos/3.txt", "", "pos/99.txt")
        with pytest.raises(UsageError, match=r"Line 3 of .*my_list\.txt \('pos/99\.txt'\) names no test example\.$"):
            pick_listed(path, self.examples, self.names)

    def test_without_names_the_sentence_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="came without file names"):
            pick_listed(self.write(tmp_path, "pos/3.txt"), self.examples, {})

    def test_a_second_mention_is_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "pos/3.txt", self.names["pos/3.txt"])
        with pytest.raises(UsageError, match=r"Line 2 .* second time"):
            pick_listed(path, self.examples, self.names)

    @pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00"])
    def test_an_empty_or_binary_list_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "list").write_bytes(content)
        with pytest.raises(UsageError, match=r"is empty|no UTF-8"):
            pick_listed(tmp_path / "list", self.examples, self.names)

    def test_a_missing_list_or_a_folder_is_refused(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.txt", tmp_path):
            with pytest.raises(UsageError, match=r"The list of ids .* cannot be read: (No such file|Is a directory)"):
                pick_listed(path, self.examples, self.names)
