"""Canaries in every place where secrets turn up: none may reach the disk in the open."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask

from loopline.backend.local import LocalBackend
from loopline.backend.masking import masked, never_record
from loopline.care.backup import back_up
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.flows import LogLine, StateKind
from loopline.settings import Address
from loopline.transfer.archive_write import write_archive
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary7Secret"
#: Is where a canary could be: who finds it, looks where he should.
MARK = "heron-at-the-taxi-rank"


def canary(number: int) -> str:
    return f"{CANARY}{number:02d}x"


SCRIPT = f"""
    import os, sys
    import loopline
    from loopline import Flow, task
    from loopline.backend.masking import fetch_secret
    from loopline.backend.recorder import get_recorder

    token = os.environ["FARES_API_TOKEN"]
    fetched = fetch_secret(get_recorder().backend, "LOT")

    @task(log_stdout=True)
    def work():
        print("{MARK} prints", token, fetched)
        loopline.get_run_logger().info("{MARK} logs %s", token)
        print("Authorization: Bearer {canary(5)}")
        raise ValueError(f"{MARK} cannot reach {{os.environ['DATABASE_URL']}} with {{fetched}}")

    with Flow("{MARK}") as flow:
        work()

    loopline.set_experiment("{MARK}")
    try:
        with loopline.start_run(tags={{"started": f"{MARK} {{token}}"}}):
            loopline.log_params({{"args": f"{MARK} --token={{token}}", "api_key": "{canary(3)}",
                                 "url": os.environ["DATABASE_URL"],
                                 "hf_token": "aB3{canary(4)}9zQ"}})
            loopline.set_tag("note", f"{MARK} {{fetched}}")
            raise RuntimeError(f"{MARK} failed with {{token}} and {{fetched}}")
    except RuntimeError:
        pass
    flow.run()
    if "kill" in sys.argv:
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "project" / ".loopline"
    home.parent.mkdir()
    (home.parent / "train.py").write_text(textwrap.dedent(SCRIPT))
    return home


def run(home: Path, *command: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=home.parent,
        env={
            **os.environ,
            "LOOPLINE_URI": str(home),
            "HOME": str(home.parent),
            "FARES_API_TOKEN": canary(1),
            "DATABASE_URL": f"postgresql://ada:{canary(2)}@db.example/fares",
            "UNTOLD": canary(9),  # Named like nothing: the environment is not kept at all.
        },
        input=said, capture_output=True, text=True, check=False,
    )  # fmt: skip


def everything_below(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name != "train.py":
                data = path.read_bytes()
                yield path, data
                if data[:2] == b"\x1f\x8b":
                    yield path, gzip.decompress(data)
                for start in range(len(data)):
                    if data[start : start + 2] in {b"\x78\x9c", b"\x78\x5e", b"\x78\xda"}:
                        try:
                            yield path, zlib.decompressobj().decompress(data[start:])
                        except zlib.error:
                            continue


def check(*folders: Path) -> None:
    marked, hits = 0, []
    for path, data in everything_below(*folders):
        marked += data.count(MARK.encode())
        if (at := data.find(CANARY.encode())) >= 0:
            hits.append((str(path), data[max(at - 80, 0) : at + 40]))
    assert hits == []
    assert marked >= 5, "the canaries were not even near"


@pytest.mark.parametrize("how", ["through", "kill"])
def test_no_canary_of_a_script_and_its_flow_reaches_the_disk(home: Path, how: str) -> None:
    kept = run(home, "-m", "loopline.cli", "secrets", "set", "LOT", said=canary(6))
    assert kept.returncode == 0, kept.stderr
    done = run(home, "train.py", how)
    assert done.returncode == (-9 if how == "kill" else 0), done.stdout + done.stderr
    assert canary(6) in done.stdout  # It had the value, and shows its own user what it prints.
    check(home)  # With the journal that a killed process left, and the WAL.
    if how == "kill":
        assert run(home, "-m", "loopline.cli", "sync").returncode == 0
    backend = LocalBackend(Address("home", str(home)))
    back_up(backend, home.parent / "backup")
    back_up(backend, home.parent / "backup.tar.gz")
    write_archive(Selection(backend), backend, home.parent / "archive")
    (flow_run,) = backend.call(ops.ListFlowRuns()).flow_runs
    lines = backend.call(ops.GetLogs(flow_run_id=flow_run.flow_run_id))
    (of_run,) = backend.call(ops.SearchRuns()).runs
    backend.close()
    said = [line.message for line in lines]
    assert any(f"{MARK} prints [redacted] [redacted]" in each for each in said), said
    assert any(f"{MARK} logs [redacted]" in each for each in said), said
    assert of_run.params["args"] == f"{MARK} --token=[redacted]"
    assert of_run.params["api_key"] == "[redacted]"
    check(home, home.parent / "backup", home.parent / "archive")
    check(home.parent)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "loopline.cli", "server", "--port", "0", "--json"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--uri", folder / "home"], stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
            process.communicate(timeout=20)


def test_no_canary_that_a_server_is_given_reaches_its_disk_or_log(tmp_path: Path) -> None:
    json_ = {"Content-Type": "application/json"}
    hook = {"name": MARK, "url": "https://93.184.215.14/", "events": ["model_version.created"]}
    with serving(tmp_path) as url:
        for name, fields in (
            ("set-secret", {"name": MARK, "value": canary(1)}),
            ("set-secret", {"name": f"{MARK} ", "value": canary(2), "also": canary(3)}),
            ("set-secret", {"name": f"{MARK}\0", "value": canary(4)}),
            ("create-webhook", {**hook, "secret": canary(5)}),
            ("create-webhook", {**hook, "events": [], "secret": canary(6)}),
            ("get-secret", {"name": MARK}),
        ):
            key = {"Idempotency-Key": f"{name}-{len(str(fields))}"}
            body = json.dumps(fields).encode()
            answer = ask(url, "POST", f"/api/v1/ops/{name}", body, {**json_, **key})
            assert answer.status in {200, 400}, answer.body
            assert CANARY.encode() not in answer.body or name == "get-secret"
        mlflow = {**hook, "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}]}
        said = json.dumps({**mlflow, "secret": canary(7)}).encode()
        made = ask(url, "POST", "/api/2.0/mlflow/webhooks", said, json_)
        assert made.status == 200, made.body
        assert CANARY.encode() not in made.body
        for path in ("/audit", "/", "/api/2.0/mlflow/webhooks"):
            assert CANARY.encode() not in ask(url, "GET", path).body
        check(tmp_path)
    check(tmp_path)


# --- what is hidden, and what is not --------------------------------------------------------------


def params(**given: str) -> dict[str, str]:
    return masked(f.ParamsLogged(run_id="a" * 32, params=given)).params


def test_params_that_are_no_secrets_are_left_as_they_are() -> None:
    given = {
        "max_tokens": "512", "tokenizer": "bert", "sort_key": "zone", "pass": "2", "key": "fares",
        "password_column": "", "depth": "7", "url": "https://data.example/trips.parquet",
        "commit": "3f1e9d2c4b5a69788796a5b4c3d2e1f00f1e2d3c", "token": "<pad>",
    }  # fmt: skip
    fact = f.ParamsLogged(run_id="a" * 32, params=given)
    assert masked(fact) is fact


@pytest.mark.parametrize("name", ["password", "db.password", "apiKey", "AWS_SECRET_ACCESS_KEY"])
def test_params_that_are_named_like_passwords_are_hidden(name: str) -> None:
    assert params(**{name: "sesame open"}) == {name: "[redacted]"}


def test_values_of_the_environment_are_hidden_wherever_they_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FARES_API_TOKEN", "sesame-open")
    monkeypatch.setattr("loopline.backend.masking._looked_at", float("-inf"))
    assert params(args="--x sesame-open") == {"args": "--x [redacted]"}
    line = LogLine(flow_run_id="x", at_ms=1, message="got sesame-open")
    assert masked(f.LogsWritten(lines=[line, line])).lines[1].message == "got [redacted]"
    state = f.TaskRunState(
        flow_run_id="x", task_slug="t", state=StateKind.FAILED, at_ms=1, message="no sesame-open"
    )
    assert masked(state).message == "no [redacted]"
    tags = f.TagsSet(run_id="x", tags={"a": "sesame-open", "b": "c"})
    assert masked(tags).tags == {"a": "[redacted]", "b": "c"}


def test_each_line_of_a_secret_that_was_got_is_hidden() -> None:
    never_record("first-line-of-it\nsecond-line-of-it\n}\n")
    assert params(a="x second-line-of-it", b="}") == {"a": "x [redacted]", "b": "}"}
