"""The frozen surface: search spaces, storage, and what its key depends on."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robench._base.errors import RobenchError, UsageError
from robench.protocol import PROTOCOLS
from robench.tasks.example import Example
from robench.text.scorer import Ratios, Scorer, ScoringRequest
from robench.text.substitutions import SubstitutionSet
from robench.text.surface import Surface
from robench.text.surface_building import SurfaceRequest, load_or_build

RATIOS = {"fine": 0.0, "nice": -5.0, "poor": -5.0001, "movie": -1.0, "show": -np.inf}
SUBSTITUTIONS = SubstitutionSet(
    "test",
    "5" * 64,
    {"good": ("fine", "nice", "poor"), "film": ("movie", "show"), "the": (), "a": ("one",)},
)
EXAMPLES = [
    Example("t/1", {"text": "Good film , good film ."}, 1),
    Example("t/2", {"text": ""}, 0),
    Example("t/3", {"text": "Nothing here ."}, 0),
    Example("t/4", {"text": "A good film"}, 1),
]
SUBWORD, RIFT = PROTOCOLS["subword"], PROTOCOLS["rift2021"]


class ListedScorer(Scorer):
    """A scorer that answers from ``RATIOS`` and records its requests."""

    identity = "listed"

    def __init__(self) -> None:
        self.requests: list[ScoringRequest] = []

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        self.requests += requests
        return [
            np.array([RATIOS.get(word.lower(), -2.0) for word in request.substitutes], np.float32)
            for request in requests
        ]


def wanted(scorer: Scorer | None = None, **changes: Any) -> SurfaceRequest:
    request = SurfaceRequest(
        EXAMPLES,
        "text",
        task="t",
        digest="d",
        substitutions=SUBSTITUTIONS,
        protocol=RIFT,
        scorer=scorer,
        max_words=300,
    )
    return dataclasses.replace(request, **changes)


def build(folder: Path, scorer: Scorer | None = None, **changes: Any) -> Surface:
    return load_or_build(folder, wanted(scorer, **changes))


def options(
    surface: Surface,
    example_id: str,
    visible: int = 99,
    constrained: bool = False,
    threshold: float = 5.0,
) -> dict[int, tuple[str, ...]]:
    space = surface.space(example_id, visible, constrained, threshold)
    return {int(position): space.options[position][1:] for position in space.positions}


# Search spaces


def test_with_the_cased_lookup_capitalised_words_have_no_substitutes(tmp_path: Path) -> None:
    surface = build(tmp_path)
    assert surface.words("t/1") == ("Good", "film", ",", "good", "film", ".")
    assert options(surface, "t/1") == {
        1: ("movie", "show"),
        3: ("fine", "nice", "poor"),
        4: ("movie", "show"),
    }


def test_with_the_lower_lookup_capitalised_words_have_substitutes(tmp_path: Path) -> None:
    surface = build(tmp_path, protocol=SUBWORD)
    assert options(surface, "t/1")[0] == ("Fine", "Nice", "Poor")
    assert options(surface, "t/4")[0] == ("One",)


def test_a_ratio_exactly_at_the_threshold_is_allowed(tmp_path: Path) -> None:
    surface = build(tmp_path, ListedScorer())
    assert options(surface, "t/1", constrained=True) == {
        1: ("movie",),
        3: ("fine", "nice"),
        4: ("movie",),
    }
    assert options(surface, "t/1", constrained=True, threshold=0.5) == {3: ("fine",)}
    assert options(surface, "t/1", constrained=False)[3] == ("fine", "nice", "poor")


@pytest.mark.parametrize(
    ("ratio", "allowed"),
    [(-5.00004, True), (-5.00006, False), (-4.99996, True), (-np.inf, False), (np.inf, True)],
)
def test_the_threshold_applies_to_the_rounded_ratio(
    tmp_path: Path, ratio: float, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RATIOS, "nice", ratio)
    for surface in (build(tmp_path, ListedScorer()), build(tmp_path, ListedScorer())):
        assert ("nice" in options(surface, "t/1", constrained=True)[3]) is allowed


def test_each_text_is_scored_by_itself_and_rounded(tmp_path: Path) -> None:
    calls: list[set[tuple[str, ...]]] = []

    class Counting(ListedScorer):
        def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
            calls.append({request.words for request in requests})
            return [answer + np.float32(1.23e-5) for answer in super().log_ratios(requests)]

    build(tmp_path, Counting())
    assert calls == [
        {("Good", "film", ",", "good", "film", ".")},
        set(),
        set(),
        {("A", "good", "film")},
    ]
    import pandas as pd

    (path,) = tmp_path.iterdir()
    stored = pd.read_parquet(path).log_ratio.dropna()
    assert set(stored[np.isfinite(stored)]) == {0.0, -5.0, np.float32(-5.0001), -1.0}


def test_words_beyond_the_window_have_no_substitutes(tmp_path: Path) -> None:
    surface = build(tmp_path)
    assert sorted(options(surface, "t/1", visible=4)) == [1, 3]
    assert surface.space("t/1", 4, False, 5.0).visible == 4
    assert options(surface, "t/1", visible=0) == {}


def test_words_beyond_max_words_are_not_scored(tmp_path: Path) -> None:
    scorer = ListedScorer()
    surface = build(tmp_path, scorer, max_words=2)
    assert sorted(options(surface, "t/1")) == [1]
    assert {request.position for request in scorer.requests} == {1}
    assert len(surface.words("t/1")) == 6


def test_the_scorer_sees_the_original_words(tmp_path: Path) -> None:
    scorer = ListedScorer()
    build(tmp_path, scorer)
    assert scorer.requests[1] == ScoringRequest(
        ("Good", "film", ",", "good", "film", "."), 3, ("fine", "nice", "poor")
    )


def test_examples_without_words_or_substitutes_have_trivial_spaces(tmp_path: Path) -> None:
    surface = build(tmp_path)
    assert surface.space("t/2", 10, True, 5.0).words == ()
    assert surface.space("t/3", 10, True, 5.0).cardinality == 1
    assert surface.words("t/2") == ()


def test_an_example_that_is_not_in_the_surface_raises_key_error(tmp_path: Path) -> None:
    surface = build(tmp_path)
    assert "t/1" in surface
    assert "t/9" not in surface
    with pytest.raises(KeyError):
        surface.space("t/9", 10, False, 5.0)


def test_without_a_scorer_the_constraint_has_no_effect_and_the_surface_says_so(
    tmp_path: Path,
) -> None:
    surface = build(tmp_path)
    assert options(surface, "t/1", constrained=True) == options(surface, "t/1", constrained=False)
    assert surface.meta["made_from"]["scorer"] == "none"


def test_the_metadata_counts_words_and_substitutes(tmp_path: Path) -> None:
    meta = build(tmp_path).meta
    assert {name: meta[name] for name in ("examples", "words", "positions", "substitutes")} == {
        "examples": 4,
        "words": 12,
        "positions": 5,
        "substitutes": 12,
    }


def test_a_surface_may_have_no_examples(tmp_path: Path) -> None:
    assert build(tmp_path, examples=[]).meta["words"] == 0
    assert "t/1" not in build(tmp_path, examples=[])


# Storage


def test_a_stored_surface_is_read_back_unchanged(tmp_path: Path) -> None:
    first, scorer = build(tmp_path, ListedScorer()), ListedScorer()
    second = build(tmp_path, scorer)
    assert scorer.requests == []
    assert second.key == first.key
    assert second.meta == first.meta
    for example in EXAMPLES:
        for constrained in (True, False):
            assert second.space(example.id, 99, constrained, 5.0) == first.space(
                example.id, 99, constrained, 5.0
            )


def test_the_file_is_named_by_the_key_and_nothing_else_is_left(tmp_path: Path) -> None:
    surface = build(tmp_path / "new" / "surfaces", ListedScorer())
    assert [path.name for path in (tmp_path / "new" / "surfaces").iterdir()] == [
        f"{surface.key}.parquet"
    ]
    assert surface.key == wanted(ListedScorer()).key
    assert wanted(ListedScorer()).path(tmp_path) == tmp_path / f"{surface.key}.parquet"


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (build(tmp_path / name, ListedScorer()) for name in ("one", "two"))
    assert (tmp_path / "one" / f"{one.key}.parquet").read_bytes() == (
        tmp_path / "two" / f"{two.key}.parquet"
    ).read_bytes()


def test_pandas_can_read_the_file(tmp_path: Path) -> None:
    import pandas as pd

    surface = build(tmp_path, ListedScorer())
    frame = pd.read_parquet(tmp_path / f"{surface.key}.parquet")
    assert list(frame.columns) == ["id", "position", "option", "word", "log_ratio"]
    row = frame[(frame.id == "t/1") & (frame.position == 3) & (frame.option == 2)].iloc[0]
    assert (row.word, row.log_ratio) == ("nice", -5.0)
    assert frame[frame.option == 0].log_ratio.isna().all()


@pytest.mark.parametrize("damage", ["torn", "empty", "other", "foreign"])
def test_a_damaged_file_is_built_again_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    surface = build(tmp_path, ListedScorer())
    path = tmp_path / f"{surface.key}.parquet"
    whole = path.read_bytes()
    if damage == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        # An intact surface under the name of another one.
        other = build(tmp_path, ListedScorer(), task="u")
        path.write_bytes((tmp_path / f"{other.key}.parquet").read_bytes())
    else:
        import pandas as pd

        pd.DataFrame({"x": [1]}).to_parquet(path)
    with caplog.at_level(logging.WARNING):
        again = build(tmp_path, ListedScorer())
    assert "cannot be used" in caplog.text
    assert again.space("t/1", 99, True, 5.0) == surface.space("t/1", 99, True, 5.0)
    assert path.read_bytes() == whole


def test_a_failed_write_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    def full(table: Any, where: Path, **_: Any) -> None:
        Path(where).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(RobenchError, match=r"No space left on device\. Free some space"):
        build(tmp_path, ListedScorer())
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_examples(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    many = [dataclasses.replace(EXAMPLES[0], id=f"t/{number}") for number in range(40)]
    load_or_build(
        tmp_path,
        wanted(ListedScorer(), examples=many),
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(number, 40) for number in range(1, 41)]


def test_a_scorer_may_refuse_before_anything_is_scored(tmp_path: Path) -> None:
    class Refusing(ListedScorer):
        def check(self, texts: Sequence[Sequence[str]]) -> None:
            raise UsageError(f"{len(texts)} texts are missing")

    with pytest.raises(UsageError, match="4 texts are missing"):
        build(tmp_path, Refusing())
    assert list(tmp_path.iterdir()) == []


# The key


def test_every_ingredient_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ListedScorer):
        identity = "other"

    changed = [
        dataclasses.replace(EXAMPLES[0], fields={"text": "Good film , good films ."}),
        *EXAMPLES[1:],
    ]
    variants: list[dict[str, Any]] = [
        {},
        {"task": "u"},
        {"digest": "e"},
        {"examples": EXAMPLES[:3]},
        {"examples": changed},
        {"max_words": 4},
        {"scorer": None},
        {"scorer": Other()},
        {"substitutions": SubstitutionSet("test", "6" * 64, {})},
        {"protocol": dataclasses.replace(RIFT, lookup="lower")},
        {"protocol": dataclasses.replace(RIFT, lm_radius=3)},
    ]
    keys = [build(tmp_path, **({"scorer": ListedScorer()} | variant)).key for variant in variants]
    monkeypatch.setattr("robench.text.surface_building.splitter_version", lambda: "nltk-99")
    keys.append(build(tmp_path, ListedScorer()).key)
    assert len(set(keys)) == len(variants) + 1


def test_the_protocols_name_and_threshold_are_not_in_the_key(tmp_path: Path) -> None:
    renamed = dataclasses.replace(RIFT, name="mine", lm_threshold=1.0, summary="", tokens="subword")
    assert (
        build(tmp_path, ListedScorer(), protocol=renamed).key == build(tmp_path, ListedScorer()).key
    )
