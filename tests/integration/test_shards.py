"""One run in shards: the joined run is that of one process, and nothing partial is joined."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from evaluation_cases import FinishedRun, Listening, trials_of, without_measurements

from robench._base.errors import Incomplete, UsageError
from robench._base.reporting import Silent
from robench.evaluation.backends.local import LocalBackend
from robench.evaluation.merging import merge
from robench.evaluation.plan import plan
from robench.evaluation.remote_work import (
    Problem,
    Searcher,
    digest_of_files,
    files_of,
    train_files,
    victim_folder,
    write_folder,
)
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolve import resolve_request
from robench.evaluation.resolved_victims import TrainedVictim
from robench.evaluation.run import evaluate
from robench.evaluation.shards import evaluate_shard
from robench.records.record_files import read_records
from robench.records.run_folder import RunFolder
from robench.records.shard import Shard
from robench.records.shard_part import ShardPart, read_part, write_part
from robench.search.attack import Trial
from robench.search.jobs import Job
from robench.search.trials import TrialFile
from robench.search.workers import WorkerPlan

pytestmark = pytest.mark.slow

SHARDS = [Shard(of=4, number=number) for number in range(1, 5)]


def linked(request: EvaluationRequest, out: Path) -> Path:
    """Return a folder that has the victims and the surfaces of a finished run."""
    out.mkdir(exist_ok=True)
    for name in ("victims", "surfaces"):
        (out / name).symlink_to(request.out / name)
    return out


@pytest.fixture(scope="module")
def sharded(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all four shards of the finished run, which are not joined yet."""
    request, _ = finished
    out = linked(request, tmp_path_factory.mktemp("shards"))
    for shard in SHARDS:
        parts = evaluate_shard(request.model_copy(update={"out": out, "shard": shard}), Silent())
        assert [part.shard for part in parts] == [shard, shard]
    return out


@pytest.fixture
def copied(sharded: Path, tmp_path: Path) -> Path:
    """A copy of the shards that a test may change."""
    return Path(shutil.copytree(sharded, tmp_path / "copied", symlinks=True))


def own(out: Path, number: int) -> RunFolder:
    return RunFolder(out).shard(f"{number}-of-4")


def parts_of(out: Path, number: int) -> list[tuple[Path, ShardPart]]:
    return [(path, read_part(path)) for path in sorted(own(out, number).parts.iterdir())]


def changed_trials(
    out: Path, number: int, change: Callable[[list[Trial]], list[Trial]], cell: str | None = None
) -> None:
    """Change the trials of the first cell of a shard, with seals that fit."""
    part = parts_of(out, number)[0][1]
    path = own(out, number).trials_file(part.cell_name)
    trials = change(TrialFile(path, cell=part.cell).read())
    path.unlink()
    renamed = part.model_copy(update={"cell": cell or part.cell})
    with TrialFile(own(out, number).trials_file(renamed.cell_name), cell=renamed.cell) as file:
        for trial in trials:
            file.append(trial)


def why(error: Incomplete) -> str:
    return " ".join(error.failed)


def test_a_shard_leaves_no_record_and_no_table(sharded: Path) -> None:
    assert not (sharded / "records").exists()
    assert not (sharded / "trials").exists()
    assert not (sharded / "leaderboard.md").exists()
    sizes = [len(trials_of(own(sharded, number).root)) for number in range(1, 5)]
    # Thirty examples under two attacks; no two shards differ by more than one example.
    assert sizes == [16, 16, 14, 14]


def test_four_joined_shards_are_the_run_of_one_process(finished: FinishedRun, copied: Path) -> None:
    request, records = finished
    merged = merge([copied], copied, Silent())
    assert trials_of(copied) == trials_of(request.out)
    by_name = {record.file_name: record for record in records}
    assert {record.file_name for record in merged} == set(by_name)
    for record in merged:
        assert without_measurements(record) == without_measurements(by_name[record.file_name])
    assert read_records(copied / "records") == {record.file_name: record for record in merged}
    assert "| rift(" in (copied / "leaderboard.md").read_text()


def test_merging_again_changes_nothing(copied: Path) -> None:
    first = merge([copied], copied, Silent())
    files = [path for path in copied.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert merge([copied, copied], copied, Silent()) == first
    assert {path: path.read_bytes() for path in files} == before


def test_shards_of_several_folders_are_joined_into_a_whole_run(
    finished: FinishedRun, sharded: Path, tmp_path: Path
) -> None:
    request, _ = finished
    folders = [linked(request, tmp_path / name) for name in ("a", "b")]
    for number in range(1, 5):
        place = RunFolder(folders[number % 2]).shard(f"{number}-of-4").root
        shutil.copytree(own(sharded, number).root, place)
    for folder in folders:
        shutil.copytree(sharded / "examples", folder / "examples")
    out = tmp_path / "joined"
    merge(folders, out, Silent())
    assert trials_of(out) == trials_of(request.out)
    # It is complete without the folders of the shards: another run has nothing to do.
    shutil.rmtree(folders[0])
    shutil.rmtree(folders[1])
    report = Listening()
    again = evaluate(request.model_copy(update={"out": out}), report)
    assert not {"attack", "training"} & set(report.phases)
    assert read_records(out / "records") == {record.file_name: record for record in again}


def test_a_merge_that_was_killed_goes_on(sharded: Path, tmp_path: Path) -> None:
    out = tmp_path / "joined"
    whole = merge([sharded], tmp_path / "whole", Silent())
    part = parts_of(sharded, 1)[0][1]
    with TrialFile(RunFolder(out).trials_file(part.cell_name), cell=part.cell) as file:
        path = own(sharded, 1).trials_file(part.cell_name)
        for trial in TrialFile(path, cell=part.cell).read()[:3]:
            file.append(trial)
    again = merge([sharded], out, Silent())
    assert [without_measurements(each) for each in again] == [
        without_measurements(each) for each in whole
    ]


def test_a_run_without_shards_uses_what_the_shards_did(finished: FinishedRun, copied: Path) -> None:
    request, records = finished
    shutil.rmtree(own(copied, 2).root)
    report = Listening()
    found = evaluate(request.model_copy(update={"out": copied}), report)
    assert [without_measurements(each) for each in found] == [
        without_measurements(each) for each in records
    ]
    assert any("22 of 30 trials exist from an earlier run." in text for text in report.messages)


def test_another_division_uses_the_trials_of_the_old_one(
    finished: FinishedRun, copied: Path
) -> None:
    request, _ = finished
    for number in (1, 2):
        report = Listening()
        shard = Shard(of=2, number=number)
        evaluate_shard(request.model_copy(update={"out": copied, "shard": shard}), report)
        assert "attack" not in report.phases
    for number in range(1, 5):
        shutil.rmtree(own(copied, number).root)
    merge([copied], copied, Silent())
    assert trials_of(copied) == trials_of(request.out)


# Another place for the work


class Elsewhere(LocalBackend):
    """Trains one of two victims, and searches in a process of another machine."""

    trains = True
    may_stay_here = False
    source = Path()

    def train(self, victims: Mapping[str, TrainedVictim]) -> Mapping[str, str]:
        for title, victim in victims.items():
            if "rift" in title:
                folder = victim.folder(self._request)
                write_folder(files_of(self.source / folder.name), folder)
        return {title: "the machine burnt" for title in victims if "rift" not in title}

    def search(
        self, plan: WorkerPlan, jobs: Iterable[Job], workers: int, say: Callable[[str], None]
    ) -> Iterator[Trial]:
        files = files_of(victim_folder(plan.victim))
        searcher = Searcher(plan, files, digest_of_files(files))
        assert searcher.load() is None
        for item in searcher.attack(list(jobs)):
            assert isinstance(item, Trial)
            yield item
        assert searcher.finish() is None


def test_what_a_backend_trained_and_searched_is_that_of_this_process(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, records = finished
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Elsewhere, "source", request.out / "victims")
    monkeypatch.setattr("robench.evaluation.run.open_backend", Elsewhere)
    out = tmp_path / "out"
    out.mkdir()
    (out / "surfaces").symlink_to(request.out / "surfaces")
    both = {"out": out, "defenses": ("rift", "standard"), "retrain": True}
    with pytest.raises(Incomplete) as error:
        evaluate(request.model_copy(update=both), Silent())
    assert list(error.value.failed) == ["the machine burnt"]
    assert [without_measurements(each) for each in error.value.done] == [
        without_measurements(each) for each in records
    ]


def test_a_victim_that_another_machine_trains_is_the_same_victim(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, _ = finished
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (victim,) = resolve_request(request, Silent(), searching=False).tasks[0].victims
    assert isinstance(victim, TrainedVictim)
    refused = train_files(victim.fit, "0" * 64, "rift")
    assert isinstance(refused, Problem)
    assert "another version of robench" in refused.sentence
    files = train_files(victim.fit, victim.fit.key, "rift")
    assert not isinstance(files, Problem), files.sentence
    there = victim.folder(request)
    for name in ("model.safetensors", "config.json", "tokenizer/tokenizer.json"):
        assert files[name] == (there / name).read_bytes()


# Refusals


def test_a_missing_shard_is_named_and_no_record_is_written(copied: Path) -> None:
    shutil.rmtree(own(copied, 3).root)
    with pytest.raises(Incomplete) as error:
        merge([copied], copied, Silent())
    assert error.value.exit_code == 1
    assert "shards that are missing or not finished: 3/4" in why(error.value)
    assert "7 of 30 examples have no trial" in why(error.value)
    assert not (copied / "records").exists()


def test_the_same_shard_twice_is_not_another_shard(copied: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(copied, tmp_path / "other", symlinks=True))
    for folder in (copied, other):
        for number in (2, 3, 4):
            shutil.rmtree(own(folder, number).root)
    with pytest.raises(Incomplete, match="2/4, 3/4, 4/4"):
        merge([copied, other], tmp_path / "joined", Silent())


def test_a_shard_that_is_not_finished_is_named(copied: Path) -> None:
    for path, _ in parts_of(copied, 4):
        path.unlink()
    with pytest.raises(Incomplete, match="missing or not finished: 4/4"):
        merge([copied], copied, Silent())


def test_a_damaged_line_is_named_and_its_example_missing(copied: Path) -> None:
    part = parts_of(copied, 2)[0][1]
    path = own(copied, 2).trials_file(part.cell_name)
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b'"label":', b'"label": ')
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(Incomplete) as error:
        merge([copied], copied, Silent())
    assert "damaged lines (1; line 3: its seal does not fit)" in why(error.value)
    assert "1 of 30 examples have no trial" in why(error.value)
    # The other cell is whole, and its record is written.
    assert [record.cell for record in error.value.done] != [part.cell]
    assert len(list((copied / "records").iterdir())) == 1


def asked_more(trials: list[Trial]) -> list[Trial]:
    """Add a query to the first trial that has any; its seal will fit."""
    asked = next(trial for trial in trials if trial.asked)
    more = asked.model_copy(update={"asked": asked.asked + 1})
    return [more if trial is asked else trial for trial in trials]


def impossible(trials: list[Trial]) -> list[Trial]:
    """Let the first trial have more forwarded rows than queries."""
    first, *rest = trials
    return [first.model_copy(update={"forwarded": first.asked + 1}), *rest]


def test_different_trials_of_one_example_are_refused_by_its_id(
    copied: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(copied, tmp_path / "other", symlinks=True))
    changed_trials(other, 1, asked_more)
    part = parts_of(copied, 1)[0][1]
    path = own(copied, 1).trials_file(part.cell_name)
    edited = next(trial.id for trial in TrialFile(path, cell=part.cell).read() if trial.asked)
    # Without a part, nobody knows which of the two finished.
    shutil.rmtree(own(other, 1).parts)
    with pytest.raises(Incomplete) as error:
        merge([copied, other], tmp_path / "joined", Silent())
    assert f"have different trials of {edited}" in why(error.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (asked_more, "the trials of shard 1/4 in '.*' are not those that it finished with"),
        (impossible, r"the trial of \S+ of shard 1/4 in '.*' cannot be true"),
    ],
)
def test_trials_that_are_refused_are_not_joined_and_the_shard_can_run_again(
    finished: FinishedRun,
    copied: Path,
    change: Callable[[list[Trial]], list[Trial]],
    sentence: str,
) -> None:
    request, records = finished
    changed_trials(copied, 1, change)
    with pytest.raises(Incomplete, match=f"{sentence}.*run that shard again"):
        merge([copied], copied, Silent())
    part = parts_of(copied, 1)[0][1]
    joined = TrialFile(RunFolder(copied).trials_file(part.cell_name), cell=part.cell).read()
    # Eight of thirty are those of the refused shard.
    assert len(joined) == 22
    own(copied, 1).trials_file(part.cell_name).unlink()
    evaluate_shard(request.model_copy(update={"out": copied, "shard": SHARDS[0]}), Silent())
    merged = merge([copied], copied, Silent())
    assert len(merged) == len(records)
    assert trials_of(copied) == trials_of(request.out)


def test_an_impossible_trial_in_out_does_not_count(
    finished: FinishedRun, copied: Path, tmp_path: Path
) -> None:
    request, _ = finished
    out = tmp_path / "joined"
    part = parts_of(copied, 1)[0][1]
    first = TrialFile(own(copied, 1).trials_file(part.cell_name), cell=part.cell).read()
    (false,) = impossible(first[:1])
    with TrialFile(RunFolder(out).trials_file(part.cell_name), cell=part.cell) as file:
        file.append(false)
    report = Listening()
    merge([copied], out, report)
    assert trials_of(out) == trials_of(request.out)
    assert any(f"cannot be true (1; {false.id}: " in text for text in report.messages)


def test_times_of_two_machines_may_differ(copied: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(copied, tmp_path / "other", symlinks=True))

    def edit(trials: list[Trial]) -> list[Trial]:
        return [each.model_copy(update={"seconds": each.seconds + 1}) for each in trials]

    changed_trials(other, 1, edit)
    for number in range(1, 5):
        shutil.rmtree(own(other, number).parts)
    assert len(merge([copied, other], tmp_path / "joined", Silent())) == 2


def test_a_file_in_out_with_other_trials_is_kept(copied: Path, tmp_path: Path) -> None:
    out = tmp_path / "joined"
    part = parts_of(copied, 1)[0][1]
    path = RunFolder(out).trials_file(part.cell_name)
    first = TrialFile(own(copied, 1).trials_file(part.cell_name), cell=part.cell).read()[0]
    with TrialFile(path, cell=part.cell) as file:
        file.append(first.model_copy(update={"asked": first.asked + 5}))
    before = path.read_bytes()
    with pytest.raises(Incomplete, match=f"has another trial of {first.id} than the shards"):
        merge([copied], out, Silent())
    assert path.read_bytes() == before


def test_two_divisions_are_not_mixed(copied: Path) -> None:
    for path, part in parts_of(copied, 1):
        moved = RunFolder(copied).shard("1-of-3").parts / path.name
        write_part(moved, part.model_copy(update={"of": 3}))
    with pytest.raises(Incomplete, match="belong to different divisions of the examples"):
        merge([copied], copied, Silent())


@pytest.mark.parametrize(
    ("update", "sentence"),
    [
        ({"victim": {"identity": "b" * 64}}, r"its victim is another one \(bbbbbbbb and not"),
        ({"search": {"seed": 1}}, "its seed is 1 and not 0"),
        ({"victim": {"configuration": "b" * 64}}, "its victim has another configuration"),
    ],
)
def test_a_shard_of_another_victim_or_seed_is_not_joined(
    copied: Path, update: dict[str, dict[str, object]], sentence: str
) -> None:
    for path, part in parts_of(copied, 2)[:1]:
        fields = {
            name: getattr(part, name).model_copy(update=values) for name, values in update.items()
        }
        changed_trials(copied, 2, lambda trials: trials, cell="c" * 64)
        path.unlink()
        other = part.model_copy(update={**fields, "cell": "c" * 64})
        trials = own(copied, 2).trials_file(part.model_copy(update={"cell": "c" * 64}).cell_name)
        trials.rename(own(copied, 2).trials_file(other.cell_name))
        write_part(own(copied, 2).parts / other.file_name, other)
    with pytest.raises(Incomplete, match=sentence) as error:
        merge([copied], copied, Silent())
    assert len(error.value.done) == 1


def test_a_part_in_the_folder_of_another_shard_is_refused(copied: Path) -> None:
    (path, _), *_ = parts_of(copied, 1)
    shutil.copy(path, own(copied, 2).parts / path.name)
    with pytest.raises(Incomplete, match="Put it back where it was written"):
        merge([copied], copied, Silent())


def test_a_damaged_part_is_named_with_its_remedy(copied: Path) -> None:
    (path, _), *_ = parts_of(copied, 1)
    path.write_text(path.read_text().replace('"asked": ', '"asked": 1'))
    with pytest.raises(Incomplete, match=r"is damaged.*Run that shard again"):
        merge([copied], copied, Silent())


def test_folders_without_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        merge([tmp_path / "nowhere"], tmp_path, Silent())
    with pytest.raises(UsageError, match="There is no shard in"):
        merge([tmp_path], tmp_path, Silent())


def test_more_shards_than_examples_are_refused_before_anything_is_made(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, _ = finished
    wanted = request.model_copy(update={"out": tmp_path, "shard": Shard(of=31, number=1)})
    with pytest.raises(UsageError, match="Use 30 shards at most"):
        evaluate_shard(wanted, Silent())
    with pytest.raises(UsageError, match="Use 30 shards at most"):
        plan(wanted, Silent())
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_shard_that_lost_its_last_line_is_named(copied: Path) -> None:
    """A cut last line looks like an interrupted write, so only the examples tell."""
    folder = RunFolder(copied)
    for path in [*folder.records.glob("*.json"), *(copied / "trials").glob("*.jsonl")]:
        path.unlink()
    (cut,) = (copied / "shards" / "2-of-4" / "trials").glob("*pwws*.jsonl")
    content = cut.read_bytes()
    cut.write_bytes(content[:-40])
    with pytest.raises(Incomplete, match=r"1 of 30 examples have no trial.*not whole: 2/4"):
        merge([copied], copied, Silent())


def test_a_shard_is_no_evaluation(finished: FinishedRun) -> None:
    request, _ = finished
    with pytest.raises(UsageError, match="has no records"):
        evaluate(request.model_copy(update={"shard": SHARDS[0]}), Silent())
