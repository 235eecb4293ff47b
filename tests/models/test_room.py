"""What models take on this machine is bounded: those used longest ago go first."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sklearn.linear_model import LinearRegression

import loopline.sklearn as flavor
from loopline import registry
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.cli import main
from loopline.models import load_model, room
from loopline.models.kept import KeptFiles
from loopline.models.room import hold, make_room, measure
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARED = b"requirements" * 10
HOLDING = """
import sys
from pathlib import Path
from loopline.models.room import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _held() -> Iterator[None]:
    """Leave this process with nothing held, as a new one is."""
    yield
    let_go()


def let_go() -> None:
    while room._held:
        os.close(room._held.popitem()[1])


def add(home: Path, name: str, *, size: int = 1000, used: int) -> Path:
    """Put a model with a file of its own and a shared one into the cache, used at a second."""
    folder = home / "cache" / "models" / name
    folder.mkdir(parents=True)
    kept = KeptFiles(home)
    (folder / "model.bin").write_bytes(name.encode() * (size // len(name)))
    kept.keep(f"{name}-own", folder / "model.bin")
    if not (home / "cache" / "files" / "sh" / "shared").exists():
        (folder / "shared.txt").write_bytes(SHARED)
        kept.keep("shared", folder / "shared.txt")
    else:
        os.link(home / "cache" / "files" / "sh" / "shared", folder / "shared.txt")
    os.utime(folder, (used, used))
    return folder


def there(home: Path) -> set[str]:
    return {path.name for path in (home / "cache" / "models").iterdir()}


def kept(home: Path) -> set[str]:
    return {path.name for path in (home / "cache" / "files").glob("*/*")}


def test_what_was_used_longest_ago_goes_first_and_shared_bytes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for used, name in enumerate(("a", "b", "c")):
        add(tmp_path, name, used=used)
    assert measure(tmp_path).size_bytes == 3000 + len(SHARED)
    os.utime(tmp_path / "cache" / "models" / "a")  # Used once more, now.
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "2.5e-6")

    assert make_room(tmp_path) == 1000

    assert there(tmp_path) == {"a", "c"}
    assert kept(tmp_path) == {"a-own", "c-own", "shared"}
    assert (tmp_path / "cache" / "models" / "a" / "shared.txt").read_bytes() == SHARED
    assert make_room(tmp_path) == 0
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "1e-9")
    make_room(tmp_path)
    assert (there(tmp_path), kept(tmp_path), measure(tmp_path).size_bytes) == (set(), set(), 0)


@pytest.mark.parametrize("setting", ["0", ""])
def test_little_is_left_alone_and_so_is_all_without_a_bound(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_CACHE_GB", setting)
    add(tmp_path, "a", used=1)
    assert make_room(tmp_path) == 0
    assert there(tmp_path) == {"a"}


def test_what_a_running_process_uses_stays_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "1e-9")
    folder = add(tmp_path, "a", used=1)
    mine = add(tmp_path, "b", used=2)
    add(tmp_path, "c", used=3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        hold(mine)
        make_room(tmp_path)
        assert there(tmp_path) == {"a", "b"}
        process.kill()
    make_room(tmp_path)
    assert there(tmp_path) == {"b"}
    let_go()
    make_room(tmp_path)
    assert there(tmp_path) == set()


def test_a_process_holds_no_more_than_its_last_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_HELD", 2)
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "1e-9")
    for used, name in enumerate("abc"):
        hold(add(tmp_path, name, used=used))
    make_room(tmp_path)
    assert there(tmp_path) == {"b", "c"}


def test_holding_and_making_room_at_once_neither_fail_nor_lose_what_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "1e-9")

    def use(number: int) -> bool:
        name = f"m{number % 7}"
        folder = tmp_path / "cache" / "models" / name
        hold(folder)
        if not folder.exists():
            partial = folder.with_name(f".{name}-{number}")
            partial.mkdir(parents=True)
            (partial / "model.bin").write_bytes(b"x" * 100)
            try:
                partial.replace(folder)
            except OSError:
                assert folder.exists()
        make_room(tmp_path)
        return (folder / "model.bin").read_bytes() == b"x" * 100

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(300)))


def test_what_was_never_finished_goes_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "1e-9")
    add(tmp_path, "a", used=1)
    models = tmp_path / "cache" / "models"
    for name in (".old-1", ".new-1"):
        (models / name).mkdir()
    (models / ".old.part").write_bytes(b"x")
    for name in (".old-1", ".old.part"):
        os.utime(models / name, (1, 1))
    make_room(tmp_path)
    assert there(tmp_path) == {".new-1"}


def test_loading_another_model_makes_room_for_it_and_gc_names_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.setenv("LOOPLINE_CACHE_GB", "1e-9")
    home = tmp_path / ".loopline"
    set_tracking_uri(home)
    try:
        for slope in (2.5, 3.0):
            with fluent.start_run():
                model = LinearRegression(fit_intercept=False).fit([[1.0]], [slope])
                flavor.log_model(model, registered_model_name="taxifare_model")
        for version in (1, 2):
            load_model(f"models:/taxifare_model/{version}")
            assert there(home) == {registry.get_version("taxifare_model", version).digest}
            let_go()
    finally:
        close_recorders()
        set_tracking_uri(None)
    monkeypatch.setattr("sys.argv", ["loopline", "gc", "--dry-run", "--uri", str(home)])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert "1 model loaded here and kept:" in said
    assert "(LOOPLINE_CACHE_GB)" in said
