"""The environment of every run: complete, without being asked, and without a secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.records.environment import Environment
from loopline.rules.redaction import Redactor
from loopline.tracking.environment.git import find_repository, read_repository
from loopline.tracking.environment.machine import read_machine
from loopline.tracking.environment.python import read_python

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What must be nowhere; each place in a test has a number of its own.
CANARY = "canary5ecret"
#: Written in two parts, so that nobody takes this file for a secret.
PRIVATE = "PRIVATE " + "KEY"

START = """
import loopline
with loopline.start_run() as run:
    print(run.run_id, flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    loopline.set_tracking_uri(tmp_path / "home")
    yield tmp_path / "home"
    close_recorders()
    loopline.set_tracking_uri(None)


def run_script(
    folder: Path, home: Path, *arguments: str, script: str = "train.py", **variables: str
) -> str:
    """Run a script that prints its run's id; return the id."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("LOOPLINE_")
    }
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env={**environment, **variables, "LOOPLINE_URI": str(home)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command: list[str] = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_repository(folder: Path, files: dict[str, str]) -> str:
    """Make a repository with one commit; return its hash."""
    folder.mkdir()
    write(folder, files)
    git(folder, "init", "-q", "-b", "night")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Train")
    return git(folder, "rev-parse", "HEAD").strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))


def read_artifact(run_id: str, path: str) -> str:
    folder, _, _ = path.rpartition("/")
    found = {one.path: one.sha256 for one in loopline.list_artifacts(run_id, folder)}
    return b"".join(get_recorder().backend.read_blob(found[path])).decode()


def environment_of(run_id: str) -> Environment:
    return msgspec.json.decode(read_artifact(run_id, "loopline/environment.json"), type=Environment)


def test_a_run_in_a_repository_knows_commit_branch_remote_and_what_is_in_no_commit(
    tmp_path: Path, home: Path
) -> None:
    commit = make_repository(
        tmp_path / "taxifare", {"train.py": START, "model.py": "EPOCHS = 3\n", "notes.md": "x\n"}
    )
    repository = tmp_path / "taxifare"
    git(repository, "remote", "add", "origin", "https://ada:secret1@github.com/ada/taxifare.git")
    write(repository, {"model.py": "EPOCHS = 5\n", "new.py": "DEPTH = 7", "data.csv": "1,2\n"})
    run_id = run_script(repository, home)

    tags = loopline.get_run(run_id).tags
    assert tags["mlflow.source.git.commit"] == commit
    assert tags["mlflow.source.git.branch"] == "night"
    assert tags["mlflow.source.git.repoURL"] == "https://github.com/ada/taxifare.git"
    assert tags["loopline.git.dirty"] == "true"
    assert tags["mlflow.source.name"] == str(repository / "train.py")
    state = environment_of(run_id).git
    assert state is not None
    assert state.changed == ["model.py"]
    assert state.untracked == ["new.py"]
    # The difference leads from the commit to what ran.
    git(tmp_path, "clone", "-q", str(repository), "again")
    (tmp_path / "d.diff").write_text(read_artifact(run_id, "loopline/uncommitted.diff"))
    git(tmp_path / "again", "apply", "../d.diff")
    assert (tmp_path / "again" / "model.py").read_text() == "EPOCHS = 5\n"
    assert (tmp_path / "again" / "new.py").read_text() == "DEPTH = 7"


def test_a_clean_repository_needs_no_difference(tmp_path: Path, home: Path) -> None:
    make_repository(tmp_path / "taxifare", {"train.py": START})
    run_id = run_script(tmp_path / "taxifare", home)
    assert loopline.get_run(run_id).tags["loopline.git.dirty"] == "false"
    assert [one.path for one in loopline.list_artifacts(run_id, "loopline")] == [
        "loopline/environment.json"
    ]


def test_a_users_settings_of_git_do_not_spoil_the_difference(tmp_path: Path) -> None:
    make_repository(tmp_path / "taxifare", {"fare.py": "FARE = 1\n"})
    repository = tmp_path / "taxifare"
    for name, value in (("diff.noprefix", "true"), ("color.ui", "always"), ("diff.external", "no")):
        git(repository, "config", name, value)
    write(repository, {"fare.py": "FARE = 2\n"})
    found = read_repository(repository, Redactor())
    assert found is not None
    assert "--- a/fare.py\n+++ b/fare.py\n" in found.diff


def test_a_users_git_command_at_the_same_moment_finds_no_lock(tmp_path: Path) -> None:
    make_repository(tmp_path / "taxifare", {"fare.py": "FARE = 1\n"})
    repository = tmp_path / "taxifare"
    (repository / ".git" / "index.lock").touch()  # Somebody else holds it.
    write(repository, {"fare.py": "FARE = 2\n"})
    found = read_repository(repository, Redactor())
    assert found is not None
    assert found.state.is_dirty


def test_large_and_binary_new_files_are_named_and_not_kept(tmp_path: Path) -> None:
    make_repository(tmp_path / "taxifare", {"fare.py": "FARE = 1\n"})
    repository = tmp_path / "taxifare"
    write(repository, {"large.py": "x = 1\n" * 50_000, "figures.ipynb": "{}"})
    (repository / "binary.py").write_bytes(b"\xff\xfe")
    found = read_repository(repository, Redactor())
    assert found is not None
    assert found.state.untracked == ["binary.py", "figures.ipynb", "large.py"]
    assert found.diff == ""
    assert "binary.py, figures.ipynb, large.py" in found.state.note


def test_a_repository_without_a_commit_or_without_git_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    assert find_repository(tmp_path / "src" / "deep") == tmp_path
    assert read_repository(tmp_path, Redactor()) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_repository(tmp_path, Redactor()) is None


def test_without_git_the_script_and_the_modules_it_uses_are_kept(
    tmp_path: Path, home: Path
) -> None:
    write(
        tmp_path / "work",
        {
            "train.py": f"import fares\n{START}",
            "fares/__init__.py": "from fares import clean\n",
            "fares/clean.py": "LEAST = 2.5\n",
            "fares/later.py": "# Imported by nobody yet.\n",
            "unrelated.py": "1 / 0\n",
        },
    )
    run_id = run_script(tmp_path / "work", home)
    environment = environment_of(run_id)
    assert environment.git is None
    assert environment.code == [
        "loopline/code/fares/__init__.py",
        "loopline/code/fares/clean.py",
        "loopline/code/fares/later.py",
        "loopline/code/train.py",
    ]
    assert read_artifact(run_id, "loopline/code/fares/clean.py") == "LEAST = 2.5\n"


def test_sources_that_git_ignores_or_that_lie_elsewhere_are_kept_beside_the_commit(
    tmp_path: Path, home: Path
) -> None:
    write(tmp_path / "shared", {"helper.py": "HELP = 1\n"})
    path = str(tmp_path / "shared")
    make_repository(
        tmp_path / "taxifare",
        {".gitignore": "scratch/\n", "fares.py": "FARE = 1\n"},
    )
    script = f"import sys\nsys.path += ['.', {path!r}]\nimport fares, helper\n{START}"
    write(tmp_path / "taxifare", {"scratch/try.py": script})
    run_id = run_script(tmp_path / "taxifare", home, script="scratch/try.py")
    environment = environment_of(run_id)
    assert environment.git is not None
    assert environment.code == ["loopline/code/helper.py", "loopline/code/try.py"]


def test_machine_and_interpreter_are_described(home: Path, tmp_path: Path) -> None:
    write(tmp_path, {"train.py": START})
    run_id = run_script(tmp_path, home, OMP_NUM_THREADS="1")
    text = read_artifact(run_id, "loopline/environment.json")
    assert text.startswith('{\n  "source"')  # People read it, too.
    environment = msgspec.json.decode(text, type=Environment)
    tags = loopline.get_run(run_id).tags
    machine = environment.machine
    assert machine.host == os.uname().nodename == tags["loopline.host"]
    assert machine.cpu.logical == os.cpu_count()
    assert 0 < machine.cpu.usable <= machine.cpu.logical
    assert machine.memory_bytes
    assert machine.memory_bytes > 1e8
    assert tags["loopline.python"] == environment.python.version == sys.version.split()[0]
    assert environment.command[-1] == "train.py"
    assert environment.variables["OMP_NUM_THREADS"] == "1"
    assert environment.user == loopline.get_run(run_id).user


def test_packages_are_those_that_their_metadata_names() -> None:
    told: dict[str, str] = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        told.setdefault(name, distribution.version)
    assert read_python().packages == dict(sorted(told.items()))


def test_packages_installed_in_between_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert "cab-tools" not in read_python().packages
    (tmp_path / "Cab_Tools-1.2.dist-info").mkdir()
    assert read_python().packages["cab-tools"] == "1.2"


def test_a_containers_limits_are_read_from_its_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopline.tracking.environment import machine

    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    write(tmp_path, {"cpu.max": "150000 100000\n", "memory.max": "2147483648\n"})
    found = read_machine()
    assert found.cpu.limit == 1.5
    assert found.memory_limit_bytes == 2 << 30
    write(tmp_path, {"cpu.max": "max 100000\n", "memory.max": "max\n"})
    assert read_machine().cpu.limit is None
    assert read_machine().memory_limit_bytes is None


def test_no_secret_reaches_the_database_the_logs_or_any_artifact(
    tmp_path: Path, home: Path
) -> None:
    def canary(number: int) -> str:
        return f"{CANARY}{number}"

    repository = tmp_path / "taxifare"
    make_repository(
        repository,
        {
            "train.py": f"""
                import loopline
                import helper

                @loopline.preprocessing
                def clean(trips, api_key="{canary(1)}"):
                    return trips

                with loopline.start_run() as run:
                    clean([])
                    print(run.run_id, flush=True)
            """,
            "helper.py": "X = 1\n",
            ".env": "A=1\n",
            "conf.yaml": "model: gbm\n",
            ".gitignore": "ignored.py\n",
        },
    )
    git(repository, "remote", "add", "origin", f"https://ada:{canary(2)}@github.com/ada/x.git")
    git(repository, "checkout", "-q", "-b", "try-" + "ghp_" + canary(3) * 4)
    write(
        repository,
        {
            "helper.py": f'import ignored\nPASSWORD = "{canary(4)}"\n'
            f'headers = {{"Authorization": "Bearer {canary(5)}"}}\n',
            ".env": f"WHATEVER={canary(6)}\n",
            "conf.yaml": f"model: gbm\ntoken: {canary(7)}\n",
            "new.py": f'os.environ["HF_TOKEN"] = "{canary(8)}"\nurl = "s3://k:{canary(9)}@b/x"\n',
            "ignored.py": f"SECRET = '''{canary(10)}'''\n# password: {canary(11)}\n"
            f"K = '''-----BEGIN {PRIVATE}-----\n{canary(12)}\n-----END {PRIVATE}-----'''\n",
        },
    )
    run_id = run_script(
        repository,
        home,
        *("--api-key", canary(13), f"--password={canary(14)}", f"db.token={canary(15)}"),
        *(f"https://ada:{canary(16)}@example.org/", f'{{"secret": "{canary(17)}"}}'),
        *(f"plain-{canary(18)}", f"--header=Authorization: Basic {canary(19)}"),
        MY_TOKEN=f"plain-{canary(18)}",
        OTHER_SECRET=canary(20),
        DATABASE_URL=f"postgresql://ada:{canary(21)}@db/x",
        UNTOLD=canary(22),  # Named like nothing secret; the environment is not kept at all.
    )
    assert environment_of(run_id).git is not None
    assert {one.path for one in loopline.list_artifacts(run_id, "loopline")} == {
        "loopline/code",
        "loopline/environment.json",
        "loopline/preprocessing.json",
        "loopline/uncommitted.diff",
    }
    assert CANARY not in repr(loopline.get_run(run_id))
    close_recorders()
    kept = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert any(b"gbm" in data for data in kept.values())  # Blobs lie there as they are.
    hits = {path: data.count(CANARY.encode()) for path, data in kept.items()}
    assert not {path: count for path, count in hits.items() if count}


def test_capturing_can_be_switched_off(tmp_path: Path, home: Path) -> None:
    write(tmp_path, {"train.py": START})
    run_id = run_script(tmp_path, home, LOOPLINE_NO_CAPTURE="1")
    assert loopline.list_artifacts(run_id) == []
    assert "loopline.host" not in loopline.get_run(run_id).tags


def test_a_run_tells_which_of_its_process_it_is_and_with_which_random_numbers_it_began(
    tmp_path: Path, home: Path
) -> None:
    script = """
        import random, sys
        import loopline
        random.seed(int(sys.argv[1]))
        with loopline.start_run() as first:
            random.random()
        with loopline.start_run() as second:
            pass
        print(first.run_id, second.run_id)
        """
    write(tmp_path, {"train.py": script})
    environment = {**os.environ, "LOOPLINE_URI": str(home)}

    def tags(seed: str) -> list[dict[str, str]]:
        told = subprocess.run(
            [sys.executable, "train.py", seed],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return [loopline.get_run(run_id).tags for run_id in told.split()]

    (first, second), (again, _), (other, _) = tags("7"), tags("7"), tags("8")
    assert (first["loopline.run_number"], second["loopline.run_number"]) == ("1", "2")
    assert first["loopline.random_state"].startswith("python:")
    assert first["loopline.random_state"] == again["loopline.random_state"]
    assert first["loopline.random_state"] != second["loopline.random_state"]
    assert first["loopline.random_state"] != other["loopline.random_state"]


def test_packages_of_a_folder_are_told_with_it() -> None:
    folder = Path(read_python().folders["loopline"])
    assert folder.samefile(Path(__file__).parents[2])
