"""Runs are run again from what was recorded, in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.lifecycle import city
from tests.tracking.test_environment import git, make_repository, write

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.cli.reproduce import reproduce as command
from loopline.errors import IntegrityError, UnsupportedError
from loopline.records.environment import PythonState
from loopline.records.operations import ListModels
from loopline.records.reproduction import Likeness, Verdict
from loopline.reproduce import Wishes, environments, reproduce
from loopline.tracking.capture import wait_for_captures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.records.tracking import Run

SAME = Wishes(same_environment=True)
WHEELS = Path(os.environ["XDG_CACHE_HOME"]) / "loopline" / "wheels"

#: The second of its runs reads data, draws random numbers and registers a model.
TRAIN = """
    import random, sys
    from pathlib import Path
    import loopline
    from fares import SCALE

    data = Path("trips.csv").resolve()
    random.seed(7)
    with loopline.start_run(run_name="look"):
        loopline.log_metric("rows", 2)
    with loopline.start_run(run_name="train") as run:
        loopline.log_input(str(data), context="training")
        loopline.log_params({"depth": sys.argv[1]})
        total = sum(map(int, data.read_text().split()))
        for step in range(3):
            loopline.log_metric("loss", SCALE * total * random.random(), step=step)
        loopline.log_text("weights", "model/weights.txt")
    loopline.register_model(f"runs:/{run.run_id}/model", "fares")
    """
FILES = {"train.py": TRAIN, "fares.py": "SCALE = 3\n", "trips.csv": "1\n2\n"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    loopline.set_tracking_uri(tmp_path / "home")
    yield tmp_path / "home"
    close_recorders()
    loopline.set_tracking_uri(None)


def run_script(folder: Path, home: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *(arguments or ("train.py", "5"))],
        env={**os.environ, "LOOPLINE_URI": str(home)},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _runs() -> list[Run]:
    """All runs, in whatever experiment another test of this process left."""
    return list(loopline.search_runs(search_all_experiments=True, output_format="list"))


def test_a_script_is_run_again_and_its_metrics_are_the_same_to_the_last_digit(
    tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, FILES)
    run_script(folder, home)
    original = loopline.get_run(_runs()[0].run_id)
    assert original.name == "train"
    for path in ("train.py", "fares.py"):  # What was kept with the run is enough.
        (folder / path).unlink()
    told: list[str] = []

    found = reproduce("models:/fares/1", SAME, say=told.append)

    assert (found.verdict, found.first_difference) == (Verdict.IDENTICAL, "")
    (loss,) = found.metrics
    assert (loss.likeness, loss.before) == (Likeness.IDENTICAL, loss.after)
    assert (found.files, found.files_identical) == (1, 1)
    assert [one.how for one in found.data] == ["source"]
    assert any(line.startswith(f"Code: of {original.user}, 2 source files") for line in told)
    made = loopline.get_run(found.run_id)
    assert made.tags["loopline.reproduction_of"] == original.run_id
    assert made.tags["loopline.reproduction"] == "identical"
    assert made.params == {"depth": "5"}
    assert loopline.get_metric_history(made.run_id, "loss").values[-1] == loss.before
    # Nothing else came of it: no other run, and no second version.
    assert len(_runs()) == 3
    (model,) = get_recorder().call(ListModels())
    assert model.latest_version == 1
    assert not list(Path(found.folder or "/nowhere").glob("*"))


@pytest.mark.deep
def test_a_commit_with_its_uncommitted_changes_is_checked_out_and_the_repository_left_alone(
    tmp_path: Path, home: Path
) -> None:
    repository = tmp_path / "project"
    commit = make_repository(repository, {**FILES, ".gitignore": "trips.csv\n"})
    write(repository, {"fares.py": "from scale import SCALE\n", "scale.py": "SCALE = 9\n"})
    run_script(repository, home)
    write(repository, {"scale.py": "SCALE = 10\n", "fares.py": "SCALE = 11\n"})
    git(repository, "commit", "-qam", "Change")

    found = reproduce("train", Wishes(same_environment=True, keep=True))

    assert found.verdict is Verdict.IDENTICAL
    assert found.code.startswith(f"commit {commit[:12]} with its uncommitted changes")
    assert (Path(found.folder) / "code" / "scale.py").read_text() == "SCALE = 9\n"
    assert (repository / "scale.py").read_text() == "SCALE = 10\n"
    worktrees = git(repository, "worktree", "list")
    assert found.folder in worktrees
    again = reproduce("train", SAME)
    assert again.verdict is Verdict.IDENTICAL
    assert len(git(repository, "worktree", "list").splitlines()) == 2  # The kept one is left.
    git(repository, "worktree", "remove", "--force", f"{found.folder}/code")
    shutil.rmtree(found.folder)


@pytest.mark.deep
def test_data_that_changed_are_refused_and_kept_bytes_take_their_place(
    tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, FILES)
    run_script(folder, home)
    (folder / "trips.csv").write_text("1\n3\n")
    with pytest.raises(IntegrityError, match=r"has changed: its digest is .*, and nobody kept"):
        reproduce("train", SAME)
    (folder / "trips.csv").unlink()
    with pytest.raises(IntegrityError, match="not there any more"):
        reproduce("train", SAME)

    write(folder, {"trips.csv": "1\n2\n"})
    loopline.dataset(str(folder / "trips.csv")).snapshot()
    (folder / "trips.csv").unlink()
    found = reproduce("train", SAME)
    assert [one.how for one in found.data] == ["snapshot"]
    assert found.verdict is Verdict.IDENTICAL


@pytest.mark.deep
def test_code_that_loads_kept_data_finds_them_again(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    script = """
        import sys
        import loopline

        kept = loopline.data.load(sys.argv[1], to="path")
        with loopline.start_run(run_name="fit"):
            loopline.log_input(loopline.dataset(kept, source="the warehouse"), context="training")
            loopline.log_metric("total", sum(map(int, kept.read_text().split())))
        """
    write(folder, {"fit.py": script, "trips.csv": "1\n2\n"})
    digest = loopline.dataset(str(folder / "trips.csv")).snapshot().dataset.digest
    get_recorder().flush()
    (folder / "trips.csv").unlink()
    run_script(folder, home, "fit.py", digest[:8])
    found = reproduce("fit", SAME)
    assert found.verdict is Verdict.IDENTICAL
    assert [one.how for one in found.data] == ["snapshot"]


@pytest.mark.deep
def test_the_cells_of_a_notebook_are_run_as_a_script_when_asked_for(
    tmp_path: Path, home: Path
) -> None:
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    cells = [
        "import loopline",
        "run = loopline.start_run(run_name='in a notebook')",
        "loopline.log_metric('rmse', 1 / 3)",
        "loopline.end_run()",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    variables = {**os.environ, "LOOPLINE_URI": str(home)}
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute(env=variables)
    with pytest.raises(UnsupportedError, match="--cells"):
        reproduce("in a notebook", SAME)
    found = reproduce("in a notebook", Wishes(same_environment=True, cells=True))
    assert found.verdict is Verdict.IDENTICAL
    assert [one.after for one in found.metrics] == [1 / 3]


@pytest.mark.deep
def test_a_metric_that_differs_is_told_with_what_differs_first(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, {**FILES, "train.py": TRAIN.replace("random.seed(7)", "random.seed()")})
    run_script(folder, home)
    with pytest.raises(SystemExit) as ended:
        command.main(["train", "--uri", str(home), "--same-environment"])
    written = capsys.readouterr()
    assert ended.value.code == 1
    said = "random numbers: the generators stood elsewhere when the run began; then metric loss at"
    assert f"{said} step 0" in written.out
    with pytest.raises(SystemExit) as ended:
        command.main(["train", "--uri", str(home), "--same-environment", "--tolerance", "1000000"])
    assert ended.value.code == 0


@pytest.mark.deep
def test_what_could_not_be_run_ends_with_code_2_and_says_why(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with loopline.start_run(run_name="here"):
        pass
    wait_for_captures()
    options = ["--uri", str(home), "--same-environment"]
    with pytest.raises(SystemExit) as ended:
        command.main(["here", *options, "--command", "python -c 'print(41 + 1)'"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "made no run that could be the counterpart" in said
    assert "  42" in said


@pytest.mark.deep
def test_a_command_that_goes_on_is_stopped_once_the_run_has_ended(
    tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    waits = (
        f"{textwrap.dedent(TRAIN)}\nif '--stay' in sys.argv:\n    import time\n    time.sleep(60)\n"
    )
    (folder / "train.py").write_text(waits)
    write(folder, {name: text for name, text in FILES.items() if name != "train.py"})
    run_script(folder, home)
    stay = Wishes(same_environment=True, command="python train.py 5 --stay")
    found = reproduce("train", stay)
    assert found.verdict is Verdict.IDENTICAL
    assert any("was stopped" in note for note in found.notes)


@pytest.mark.deep
def test_a_flow_run_is_run_again_from_its_registered_version(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    script = """
        import loopline
        from loopline import Flow, Parameter, task

        @task
        def fit(month):
            with loopline.start_run(run_name="fit"):
                loopline.log_params({"month": month})
                loopline.log_metric("rmse", month * 1.5)

        with Flow("monthly") as flow:
            fit(Parameter("month"))

        flow.register("fares")
        """
    write(folder, {"flow.py": script})
    run_script(folder, home, "flow.py")
    cli = ("-m", "loopline.cli")
    worker = subprocess.Popen(
        [sys.executable, *cli, "worker"],
        env={**os.environ, "LOOPLINE_URI": str(home)},
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        run_script(
            folder, home, *cli, "flows", "run", "fares/monthly", "--param", "month=3", "--follow"
        )
    finally:
        worker.terminate()
        worker.wait(30)
    found = reproduce("fit", SAME)
    assert found.verdict is Verdict.IDENTICAL
    assert "loopline.reproduce.flow_process" in found.command
    assert [one.after for one in found.metrics] == [4.5]


@pytest.mark.deep
def test_the_recorded_environment_is_made_once_with_the_recorded_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    assert WHEELS.is_dir(), "`make environment` keeps the wheels there."
    monkeypatch.setenv("UV_FIND_LINKS", str(WHEELS))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    state = PythonState(
        version=sys.version.split()[0],
        implementation="CPython",
        executable=sys.executable,
        prefix=sys.prefix,
        packages={"msgspec": msgspec.__version__, "fares": "1.0", "loopline": "0.0.1"},
        folders={"fares": "/somewhere"},
    )
    made = environments.make(state, tmp_path, imported=())
    again = environments.make(state, tmp_path, imported={"fares"})
    assert made.python == again.python
    assert again.said.endswith("found made")
    assert any("fares was installed from /somewhere" in note for note in made.notes)
    assert any("Loopline was 0.0.1" in note for note in again.notes)
    told = subprocess.run(
        [made.python, "-c", "import msgspec, sys; print(msgspec.__version__, sys.prefix)"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout.split()  # fmt: skip
    assert told == [msgspec.__version__, str(Path(made.python).parents[1])]

    gone = PythonState(
        version=state.version,
        implementation="CPython",
        executable="",
        prefix="",
        packages={"no-such-package-of-ours": "1.0"},
    )
    with pytest.raises(UnsupportedError, match="--same-environment"):
        environments.make(gone, tmp_path, imported=())


@pytest.mark.deep
def test_a_version_that_a_loop_made_is_made_again_from_the_loops_file(
    tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "project"
    root = str(Path(__file__).parents[2])
    loop = f"""
        import sys
        sys.path.insert(0, {root!r})
        from tests.lifecycle import city

        loop = city.loop()
        """
    write(folder, {"loops/city_loop.py": loop})
    run_script(
        folder, home, "-m", "loopline.cli", "lifecycle", "turn", "loops/city_loop.py:loop",
        "--until", "2022-03",
    )  # fmt: skip
    found = reproduce(f"models:/{city.NAME}/1", SAME)
    assert found.verdict is Verdict.IDENTICAL
    assert found.command[-3].endswith("/code/city_loop.py:loop")
    assert "loops" not in found.command[-3]
