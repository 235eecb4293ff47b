"""What travels with a registered flow, and what makes a new version of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from loopline.errors import FlowBuildError, FlowError, IntegrityError
from loopline.flows.flow import Flow
from loopline.flows.shipping.code import load_flow, python_minor
from loopline.flows.shipping.packing import pack_flow
from loopline.flows.task import task
from loopline.records.flows import FlowCode
from loopline.tracking import local_modules
from loopline.tracking.local_modules import zip_sources

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = {
    "taxifare/__init__.py": "",
    "taxifare/interface/__init__.py": "",
    "taxifare/interface/main.py": """
        import helpers
        import msgspec

        def evaluate(first_row):
            from taxifare.ml_logic.model import score

            return score(first_row)
    """,
    "taxifare/ml_logic/__init__.py": "",
    "taxifare/ml_logic/model.py": "def score(row):\n    return 3.8 + row\n",
    "taxifare/data/trips.csv": "fare\n7.5\n",
    "taxifare/venv/pyvenv.cfg": "",
    "taxifare/venv/lib.py": "",
    "helpers.py": "",
    "unrelated.py": "",
}

SCRIPT = """
    import datetime
    import json
    import sys

    from loopline.flows.flow import Flow
    from loopline.flows.shipping.packing import pack_flow
    from loopline.flows.task import task
    from loopline.schedules import IntervalSchedule
    from taxifare.interface.main import evaluate

    ROWS = {"green", "yellow", "fhv"}

    @task
    def eval_perf(next_row):
        return evaluate(next_row) if ROWS else None

    @task(max_retries=2, retry_delay=5)
    def notify(past_perf):
        print(past_perf)

    with Flow("wagonwab taxifare workflow") as flow:
        notify(eval_perf(0))
    flow.schedule = IntervalSchedule(interval=datetime.timedelta(minutes=300))

    import io, zipfile
    packed = pack_flow(flow)
    names = zipfile.ZipFile(io.BytesIO(packed.bundle)).namelist()
    print(json.dumps([packed.kind, packed.fingerprint, names, packed.environment]))
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def pack(folder: Path, script: str = SCRIPT, seed: str = "1") -> tuple[str, str, list[str], Any]:
    """Pack the script's flow in a fresh process."""
    (folder / "flow.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, str(folder / "flow.py")],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert done.returncode == 0, done.stderr.decode()
    kind, fingerprint, names, environment = json.loads(done.stdout)
    return kind, fingerprint, names, environment


def test_a_scripts_flow_goes_by_value_with_the_local_sources_it_uses(tmp_path: Path) -> None:
    write(tmp_path, PACKAGE)
    kind, _, names, environment = pack(tmp_path)
    assert kind == "pickle"
    assert names == [
        "helpers.py",
        "taxifare/__init__.py",
        "taxifare/interface/__init__.py",
        "taxifare/interface/main.py",
        "taxifare/ml_logic/__init__.py",
        "taxifare/ml_logic/model.py",
    ]
    assert environment["python"] == python_minor()
    assert set(environment) >= {"msgspec"}


def test_the_fingerprint_is_the_same_in_another_process_and_changes_with_the_code(
    tmp_path: Path,
) -> None:
    write(tmp_path, PACKAGE)
    first = pack(tmp_path, seed="1")[1]
    assert pack(tmp_path, "    # a comment elsewhere\n" + SCRIPT, seed="2")[1] == first

    changes = [
        ("past_perf)\n\n    with", "past_perf, flush=True)\n\n    with"),
        ('"fhv"}', '"fhvhv"}'),
        ("eval_perf(0)", "eval_perf(1)"),
        ("minutes=300", "minutes=60"),
        ("max_retries=2", "max_retries=3"),
    ]
    changed = [pack(tmp_path, SCRIPT.replace(*change))[1] for change in changes]
    assert len({first, *changed}) == len(changes) + 1

    write(tmp_path, {"taxifare/ml_logic/model.py": "def score(row):\n    return 4.5 + row\n"})
    assert pack(tmp_path)[1] not in {first, *changed}


def test_a_flow_of_a_module_goes_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = """
        import threading

        from loopline.flows.flow import Flow
        from loopline.flows.task import task

        lock = threading.Lock()

        @task
        def train():
            with lock:
                return 4.1

        with Flow("retrain") as flow:
            train()
    """
    write(tmp_path, {"farepack/__init__.py": "", "farepack/flows.py": module})
    monkeypatch.syspath_prepend(tmp_path)
    from farepack.flows import flow  # type: ignore[import-not-found]

    packed = pack_flow(flow)
    assert (packed.kind, packed.entry) == ("import", "farepack.flows:flow")
    names = zipfile.ZipFile(io.BytesIO(packed.bundle)).namelist()
    assert names == ["farepack/__init__.py", "farepack/flows.py"]


def test_the_bundle_of_the_same_files_has_the_same_bytes() -> None:
    files = {"b.py": b"2", "a.py": b"1"}
    assert zip_sources(files) == zip_sources(dict(reversed(files.items())))


def test_what_cannot_travel_is_refused_with_its_place() -> None:
    lock = threading.Lock()

    @task
    def read_trips() -> bool:
        return lock.locked()

    with Flow("taxi fares") as flow:
        read_trips()
    with pytest.raises(FlowBuildError, match=r"'taxi fares' cannot be stored.*read_trips"):
        pack_flow(flow)


def test_another_python_refuses_code_by_value(tmp_path: Path) -> None:
    code = FlowCode(kind="pickle", blob="0" * 64, python="2.7")
    with pytest.raises(FlowError, match=r"Python 2\.7, and this worker runs"):
        load_flow(code, lambda _: b"", tmp_path)


@pytest.mark.parametrize("path", ["../evil.py", "/tmp/evil.py", "trips.csv"])  # noqa: S108
def test_a_bundle_never_leaves_its_folder(tmp_path: Path, path: str) -> None:
    code = FlowCode(kind="import", bundle="0" * 64, entry="evil:flow")
    with pytest.raises(IntegrityError, match="bundle holds"):
        load_flow(code, lambda _: zip_sources({path: b""}), tmp_path)


def test_an_example_of_the_installed_package_travels_as_a_users_own_code_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = tmp_path / "site-packages" / "loopline" / "_examples"
    for folder, name in ((examples, "cab_example"), (examples.parents[1], "cab_library")):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("FARE = 3.8\n")
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(local_modules, "_EXAMPLES", examples)
    found = local_modules.find_modules(["cab_example", "cab_library"])
    assert list(found.files) == ["cab_example/__init__.py"]
    assert found.packages == {"cab_library"}
