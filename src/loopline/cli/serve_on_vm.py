"""``loopline serve --on vm``: a flow run whose one task serves, on a machine of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["given_options", "serve_on_vm"]

PROJECT = "serving"

#: What the machine runs: the command itself, in a process of its own, which ends with the task.
SCRIPT = """\
import subprocess
import sys

import loopline

command = [sys.executable, "-P", "-m", "loopline.cli", "serve"]
command += ["--uri", loopline.get_tracking_uri()]
serving = subprocess.Popen(
    [*command, *sys.argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
)
try:
    for line in serving.stdout:
        print(line, end="", flush=True)
finally:
    serving.terminate()
    code = serving.wait()
sys.exit(code)
"""


def given_options(context: click.Context, own: set[str]) -> list[str]:
    """Write down again the options that a command was given, but for some."""
    words: list[str] = []
    for param in context.command.params:
        name = str(param.name)
        source = context.get_parameter_source(name)
        if (
            name in own
            or not isinstance(param, click.Option)
            or source is not ParameterSource.COMMANDLINE
        ):
            continue
        value = context.params[name]
        if param.is_flag:
            words.append(param.opts[0] if value else param.secondary_opts[0])
            continue
        if name == "split":  # Read already.
            value = "=".join(map(str, value))
        for each in value if param.multiple else [value]:
            words += [param.opts[0], str(each)]
    return words


def serve_on_vm(
    addresses: Sequence[str], options: Sequence[str], machine: dict[str, Any], uri: str | None
) -> str:
    """Send the models to a machine that a worker starts; return the flow run that it is.

    Args:
        addresses: Of the models.
        options: Of ``loopline serve``, for the machine.
        machine: As ``machine_options`` gives them.
        uri: The store, or None for the default.

    Raises:
        LooplineError: There is no such model.
    """
    from loopline.backend.recorder import get_recorder
    from loopline.cli.machine import machine_of
    from loopline.cli.options import actor
    from loopline.flows.flow import Flow
    from loopline.flows.shipping.register import register_flow
    from loopline.records.operations import CreateFlowRun
    from loopline.serving.bundle import requirements_of
    from loopline.serving.serve import sources_of
    from loopline.tasks.script import ScriptTask

    recorder = get_recorder(uri)
    sources = sources_of(addresses)
    needed = {line for each in sources for line in requirements_of(each.fetch(each.look()))}
    config = machine_of(machine, packages=tuple(sorted(needed)))
    flow = Flow("serve " + ", ".join(each.name for each in sources), run_config=config)
    flow.add_task(ScriptTask(SCRIPT, [*options, *addresses], file_name="serve.py"))
    version = register_flow(
        flow, PROJECT, no_url=True, uri=recorder.address.text, say=lambda _line: None
    )
    return recorder.call(CreateFlowRun(flow_version_id=version, actor=actor())).flow_run_id
