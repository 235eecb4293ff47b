"""`loopline lifecycle`: a file with a loop, gone around once and over the past."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Shell
from tests.lifecycle.city import NAME

from loopline.tracking.environment import process

LOOP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.lifecycle import city

loop = city.loop()
"""


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.setattr(process, "_told", None)  # The script of this process stays its own.
    (tmp_path / "city_loop.py").write_text(LOOP)
    (tmp_path / "two.py").write_text(LOOP + "other = city.loop()\n")
    (tmp_path / "none.py").write_text("loop = 3\n")
    return Shell(tmp_path / "home", [], capsys)


def test_a_loop_is_gone_around_once(shell: Shell, tmp_path: Path) -> None:
    file = str(tmp_path / "city_loop.py")
    first = shell("lifecycle", "turn", file, "--until", "2022-03")
    assert first.code == 0
    assert "promoted v1" in first.out
    assert "v1 is in Production" in first.err
    again = shell("lifecycle", "turn", file, "--until", "2022-04", "--json")
    assert again.json["decision"]["status"] == "kept"
    assert "cityfare" in shell("models", "list").out


def test_the_past_is_told_as_a_table_and_a_picture(shell: Shell, tmp_path: Path) -> None:
    file, picture = str(tmp_path / "city_loop.py"), tmp_path / "past.svg"
    asked = ("lifecycle", "backtest", file, "--since", "2022-05", "--until", "2022-11")
    ran = shell(*asked, "--picture", str(picture))
    assert ran.code == 0
    assert "2022-08-01" in ran.out
    assert "of the error (6 trainings" in ran.out
    assert picture.read_text().startswith("<svg")
    assert shell(*asked, "--json").json["promoted"] == 3
    assert NAME not in shell("models", "list").out


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.py", "No file"),
        ("none.py", "0 loops"),
        ("two.py", "2 loops, but loop, other"),
        ("two.py:third", "no loop 'third', but loop, other"),
    ],
)
def test_a_file_without_one_loop_is_said(shell: Shell, tmp_path: Path, name: str, why: str) -> None:
    ran = shell("lifecycle", "turn", str(tmp_path / name))
    assert ran.code == 1
    assert why in ran.err


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("rate = 3\nraise RuntimeError('no trips')", "RuntimeError: no trips (mine.py, line 2)."),
        ("def train(:", "SyntaxError: invalid syntax (mine.py, line 1)."),
        (
            "import no_such_rows",
            "(python -m pip install no_such_rows), then",
        ),
        ("from beside import rows", "ZeroDivisionError: division by zero (beside.py, line 1)."),
    ],
)
def test_what_a_file_raises_is_said_with_its_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(lines)
    (tmp_path / "beside.py").write_text("rows = 1 / 0")
    ran = shell("lifecycle", "turn", "mine.py")
    assert ran.code == 1
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", ["turn", "backtest"])
def test_what_a_training_raises_is_said_with_its_line(
    shell: Shell, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "failing.py"
    file.write_text(
        LOOP + "\ndef train(rows):\n    raise KeyError('miles')\n\nloop.train = train\n"
    )
    since = ["--since", "2022-02"] if command == "backtest" else []
    ran = shell("lifecycle", command, str(file), *since, "--until", "2022-04")
    assert ran.code == 1
    assert f"KeyError: 'miles' ({file}, line 9). Mend it there" in ran.err
