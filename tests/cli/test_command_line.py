"""The command line as a whole: help, exit codes, lazy imports."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from loopline.cli import SECTIONS, TABLE, cli
from loopline.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

HEAVY = {"sqlalchemy", "alembic", "starlette", "uvicorn", "rich", "numpy", "pandas", "asyncio"}


def all_commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}

    def collect(path: str, group: click.Group) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found[f"{path} {name}".strip()] = command
            if isinstance(command, click.Group):
                collect(f"{path} {name}".strip(), command)

    collect("", cli)
    return found


COMMANDS = all_commands()
LEAVES = sorted(name for name, command in COMMANDS.items() if not isinstance(command, click.Group))


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_help_with_an_example(shell: Shell, name: str) -> None:
    ran = shell(*name.split(), "--help")
    assert ran.code == 0
    assert COMMANDS[name].help
    assert f"loopline {name}" in ran.out.split("Examples:")[1]


@pytest.mark.parametrize("name", [name for name in LEAVES if name != "worker"])
def test_every_command_can_print_json(name: str) -> None:
    assert "as_json" in {option.name for option in COMMANDS[name].params}


@pytest.mark.parametrize("name", ["", *sorted(set(COMMANDS) - set(LEAVES) - {"demo"})])
def test_the_help_of_a_group_says_what_its_commands_say(name: str) -> None:
    group = COMMANDS[name] if name else cli
    assert isinstance(group, LazyGroup)
    for command, (target, line) in group.table.items():
        module, _, attribute = target.partition(":")
        own = getattr(importlib.import_module(module), attribute)
        assert (own.help or "").strip().split("\n\n")[0].replace("\n", " ") == line, command


@pytest.mark.parametrize(
    "arguments", [["--help"], ["runs", "list", "--help"], ["worker", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys, contextlib\n"
        f"sys.argv = ['loopline', *{arguments!r}]\n"
        "from loopline.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.endswith("heavy: []\n")


def test_a_wrong_command_is_code_2_and_names_the_nearest(shell: Shell) -> None:
    ran = shell("modles")
    assert (ran.code, "Did you mean 'models'?" in ran.err) == (2, True)
    assert shell("runs", "list", "--nothing").code == 2
    assert shell("runs", "list", "--limit", "0").code == 2
    assert "'many' is not a whole number." in shell("runs", "list", "--limit", "many").err


def test_a_wrong_name_that_is_near_to_none_is_told_what_there_is(shell: Shell) -> None:
    assert "There are list, show, approve, refuse." in shell("decisions", "reject", "x").err
    assert "Write `loopline runs --help`." in shell("help", "runs").err


def test_the_first_help_has_each_command_once_in_a_section_and_on_a_line(shell: Shell) -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(TABLE)
    lines = shell("--help").out.splitlines()
    for name, (_, words) in TABLE.items():
        assert f"  {name:11}  {words}" in lines
    assert "Commands:" not in lines


def test_the_version_is_also_an_option(shell: Shell) -> None:
    ran = shell("--version")
    assert (ran.code, ran.out.startswith("loopline ")) == (0, True)


def test_a_command_without_arguments_shows_its_help(shell: Shell) -> None:
    assert "Commands:" in shell("runs").out + shell("runs").err


def test_a_wrong_address_is_an_error_in_a_sentence(shell: Shell) -> None:
    ran = shell("runs", "list", "--uri", "ftp://cabs")
    assert (ran.code, ran.err.startswith("Error: Loopline cannot record to")) == (1, True)


def test_a_folder_that_cannot_be_made_is_an_error_in_a_sentence(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ran = shell("init", str(tmp_path / "file" / "below"))
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert len(ran.err.splitlines()) <= 2


def test_a_package_that_is_not_installed_is_told_with_how_to_get_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.table, "version", ("no_such_package.cli:version", ""))
    ran = shell("version")
    assert ran.code == 1
    assert ran.err.startswith("Error: This needs the package no_such_package, which is not")
    assert "python -m pip install no_such_package." in ran.err


def test_ctrl_c_is_code_130(shell: Shell, tmp_path: Path) -> None:
    shell("init", str(tmp_path))
    program = (
        "import os, signal, sys\n"
        "import loopline.cli.output\n"
        "loopline.cli.output.print_table = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.argv = ['loopline', 'runs', 'list', '--uri', {str(tmp_path / '.loopline')!r}]\n"
        "from loopline.cli import main\n"
        "main()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 130


def test_a_closed_pipe_is_no_traceback(shell: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [sys.executable, "-m", "loopline.cli", "runs", "list", "--json", "--uri", str(shell.home)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert ran.stderr == ""
    assert ran.returncode != -signal.SIGPIPE
