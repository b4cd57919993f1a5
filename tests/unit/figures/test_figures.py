"""Figures: what is drawn, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from victim_cases import encoder_folder, read_json, request

from robench._base.errors import RobenchError, UsageError
from robench.cli import main
from robench.evaluation.sweep import SweepRow
from robench.records.rows import DefenseRow, Gap
from robench.records.statistics import Score

pytest.importorskip("matplotlib")

from matplotlib.container import ErrorbarContainer

from robench.figures import ablation, drawing, geometry, training
from robench.figures.geometry_points import read_points


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plot", *map(str, arguments)])


# -- Files --


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")]
)
def test_the_ending_of_the_name_decides_the_format(
    tmp_path: Path, name: str, begins: bytes
) -> None:
    figure, _ = drawing.new_figure(1)
    drawing.save(figure, tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(begins)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize("name", ["a", "a.doc"])
def test_an_unknown_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="must end with one of"):
        drawing.save(drawing.new_figure(1)[0], tmp_path / name)


def test_a_figure_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(RobenchError, match="could not be written"):
        drawing.save(drawing.new_figure(1)[0], tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_every_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"Figures need matplotlib and sklearn, .*pip install 'robench\[plots\]'\."
    ):
        drawing.require("sklearn")


# -- The figure of a sweep --


def row(
    value: str,
    clean: float,
    under: float | None,
    *,
    beta: str | None = None,
    distances: tuple[float, ...] = (0.5,),
) -> SweepRow:
    attacked = Gap("error", 0, 1) if under is None else Score((under,), 100)
    values = {"defense.alpha": value} | ({} if beta is None else {"defense.beta": beta})
    return SweepRow(
        "rift",
        values,
        {"pwws": "pwws"},
        DefenseRow("rift", (0,), 100, Score((clean,), 100), {"pwws": attacked}, attacked),
        distances,
    )


def data(panel: Any) -> dict[str, list[list[float]]]:
    """Return the points of each line of a panel by its label."""
    handles, labels = panel.get_legend_handles_labels()
    lines = [handle[0] if hasattr(handle, "has_yerr") else handle for handle in handles]
    return {
        label: np.asarray(line.get_xydata()).tolist()
        for label, line in zip(labels, lines, strict=True)
    }


def test_the_values_in_the_panels_of_a_sweep() -> None:
    figure = ablation.draw([row("0", 0.9, 0.5, distances=(0.1, 0.3)), row("0.1", 0.8, 0.6)])
    accuracies, distances, tradeoff = (data(panel) for panel in figure.axes)
    assert accuracies["rift, clean"] == [[0.0, pytest.approx(90)], [0.1, pytest.approx(80)]]
    assert accuracies["rift, pwws"] == [[0.0, pytest.approx(50)], [0.1, pytest.approx(60)]]
    assert distances["rift"] == [[0.0, pytest.approx(0.2)], [0.1, pytest.approx(0.5)]]
    assert tradeoff["rift"] == [
        [pytest.approx(90), pytest.approx(50)],
        [pytest.approx(80), pytest.approx(60)],
    ]


def test_a_sweep_shows_intervals_and_no_legend_over_them() -> None:
    figure = ablation.draw([row("0", 0.9, 0.5), row("0.1", 0.8, 0.6)])
    accuracies, _, tradeoff = figure.axes
    assert accuracies.get_legend() is None
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["rift, clean", "rift, pwws"]
    (bars,) = [each for each in tradeoff.containers if isinstance(each, ErrorbarContainer)]
    assert bars.has_xerr
    assert bars.has_yerr


def test_values_that_are_not_numbers_have_equal_intervals_and_gaps_are_left_out() -> None:
    figure = ablation.draw([row("teachers", 0.9, 0.5), row("students", 0.8, None, distances=())])
    accuracies, distances, tradeoff = (data(panel) for panel in figure.axes)
    assert [place for place, _ in accuracies["rift, clean"]] == [0.0, 1.0]
    assert [place for place, _ in accuracies["rift, pwws"]] == [0.0]
    assert len(distances["rift"]) == len(tradeoff["rift"]) == 1
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "teachers",
        "students",
    ]


def test_each_combination_of_the_other_options_is_a_line() -> None:
    rows = [row(alpha, 0.9, 0.5, beta=beta) for alpha in ("0", "1") for beta in ("4", "10")]
    assert list(data(ablation.draw(rows).axes[1])) == [
        "rift defense.beta=4",
        "rift defense.beta=10",
    ]


# -- The figure of trainings --


def log(folder: Path, epochs: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / "training.json").write_text(json.dumps({"epochs": epochs}))
    return folder


def test_the_values_in_the_panels_of_trainings(tmp_path: Path) -> None:
    first = log(
        tmp_path / "a",
        [
            {
                "epoch": 1,
                "distance": 0.1,
                "dev_accuracy": 0.5,
                "dev_hull_accuracy": None,
                "dev_information": 1.5,
            }
        ],
    )
    second = log(
        tmp_path / "b", [{"epoch": 1, "dev_accuracy": 0.6}, {"epoch": 2, "dev_accuracy": 0.7}]
    )
    panels = [data(panel) for panel in training.draw([first, second]).axes]
    assert panels[0] == {"a": [[1.0, 0.1]], "b": []}
    assert panels[2] == {"a": [[1.0, 0.5]], "b": [[1.0, 0.6], [2.0, 0.7]]}
    assert panels[3] == {"a": [], "b": []}


@pytest.mark.parametrize(
    ("kind", "file"), [("training", "training.json"), ("geometry", "victim.json")]
)
def test_a_folder_without_a_victim_is_refused(tmp_path: Path, kind: str, file: str) -> None:
    pytest.importorskip("sklearn")
    done = run(kind, "--victim", tmp_path, "--to", tmp_path / "t.png")
    assert done.exit_code == 2
    assert done.stderr == (
        f"Error: '{tmp_path}' holds no victim: there is no '{file}'. Name a victim's folder, such "
        "as one in runs/victims.\n"
    )


def test_a_seed_beyond_the_range_of_t_sne_is_refused(tmp_path: Path) -> None:
    done = run("geometry", "--victim", tmp_path, "--seed", 2**32)
    assert done.exit_code == 2
    assert "'--seed': 4294967296 is not in the range 0<=x<=4294967295" in done.stderr


def test_two_folders_with_the_same_name_are_refused(tmp_path: Path) -> None:
    for run_folder in ("one", "other"):
        (tmp_path / run_folder).mkdir()
        log(tmp_path / run_folder / "v", [{"epoch": 1, "dev_accuracy": 0.5}])
    done = run(
        "training",
        "--victim",
        tmp_path / "one" / "v",
        "--victim",
        tmp_path / "other" / "v",
        "--to",
        tmp_path / "t.png",
    )
    assert done.exit_code == 2
    assert "Two of the folders are called 'v'" in done.stderr


def test_without_a_subcommand_the_help_lists_the_figures() -> None:
    done = run()
    assert done.exit_code == 0
    assert "geometry" in done.output


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not the log of a training"),
        ('{"epochs": [3]}', "is not the log of a training"),
        ('{"epochs": [{"epoch": 1}]}', "--retrain"),
    ],
)
def test_a_damaged_training_log_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "training.json").write_text(text)
    done = run("training", "--victim", tmp_path, "--to", tmp_path / "t.png")
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert not (tmp_path / "t.png").exists()


# -- The figure of features --


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of an encoder and of a victim trained from it."""
    from robench.training.loop import fit

    folder = tmp_path_factory.mktemp("geometry")
    encoder = encoder_folder(folder / "small")
    fit(request(encoder, options={"epochs": 1}), folder / "victim")
    return encoder, folder / "victim"


@pytest.mark.slow
def test_the_command_writes_the_same_figure_twice(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    encoder, victim = trained
    asked = (
        "geometry",
        "--victim",
        victim,
        "--encoder",
        encoder,
        "--examples",
        20,
        "--device",
        "cpu",
        "--to",
    )
    assert run(*asked, tmp_path / "a.png").exit_code == 0
    assert run(*asked, tmp_path / "b.png").exit_code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    done = run("training", "--victim", victim, "--to", tmp_path / "t.png")
    assert done.exit_code == 0, done.output
    done = run(*asked, tmp_path / "geometry.json")
    assert done.exit_code == 0, done.output
    points = read_points(tmp_path / "geometry.json")
    assert (points.task, points.encoder, points.split) == ("planted", str(encoder), "test")
    assert [each.name for each in points.victims] == ["victim"]
    assert sorted(set(points.labels)) == [0, 1]
    assert len(points.labels) == 20
    radii = np.linalg.norm(np.array(points.victims[0].inner), axis=1)
    np.testing.assert_allclose(radii, geometry.INNER_RADIUS, atol=1e-3)


def test_the_features_before_are_those_at_the_start_of_training(trained: tuple[Path, Path]) -> None:
    """The randomly drawn head and pooler are reproduced, so two calls give the same features."""
    from victim_cases import planted_splits

    from robench.models.victim import Victim

    encoder, folder = trained
    victim = Victim.load(folder)
    examples = planted_splits().test
    measured = geometry.measure({"v": victim}, str(encoder), examples)
    assert measured.labels.tolist() == [example.label for example in examples]
    assert measured.before[0].shape == measured.after["v"].shape == (len(examples), 32)
    assert np.abs(measured.before[0] - measured.after["v"]).max() > 1e-3
    again = geometry.measure({"v": victim}, str(encoder), examples)
    np.testing.assert_array_equal(measured.before[0], again.before[0])


def test_an_encoder_that_the_victim_does_not_come_from_is_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    done = run(
        "geometry",
        "--victim",
        trained[1],
        "--encoder",
        "tiny",
        "--examples",
        20,
        "--to",
        tmp_path / "a.png",
    )
    assert done.exit_code == 2
    assert "is not the one that the victims were fine-tuned from" in done.stderr


def test_victims_of_two_tasks_are_refused(trained: tuple[Path, Path]) -> None:
    from robench.models.victim import Victim

    one, other = Victim.load(trained[1]), Victim.load(trained[1])
    other.card["task"] = "imdb"
    with pytest.raises(UsageError, match="do not share one task: imdb and planted"):
        geometry.measure({"a": one, "b": other}, str(trained[0]), [])


def test_circles_have_their_radii_and_pairs_of_a_text_are_close() -> None:
    pytest.importorskip("sklearn")
    draw = np.random.default_rng(0)
    teachers = draw.normal(size=(24, 6)).astype(np.float32)
    outer, inner = geometry.on_circles(teachers * 3 + 5, teachers, 0)
    np.testing.assert_allclose(np.linalg.norm(outer, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(inner, axis=1), 0.9, rtol=1e-5)
    # Both sides hold the same features, apart from scale and shift.
    own = np.linalg.norm(outer - inner, axis=1)
    other = np.linalg.norm(outer - np.roll(inner, 7, axis=0), axis=1)
    assert np.median(own) < np.median(other) / 3


def test_fewer_than_four_texts_are_refused() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(UsageError, match="at least 4"):
        geometry.scatter(np.zeros((3, 2), dtype=np.float32), 0)


def test_a_training_log_has_a_value_for_every_panel(trained: tuple[Path, Path]) -> None:
    (entry,) = read_json(trained[1] / "training.json")["epochs"]
    assert {name for name, _ in training.PANELS} <= set(entry)
