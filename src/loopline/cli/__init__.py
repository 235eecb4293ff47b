"""The ``loopline`` command: one module a noun, imported when it is used."""

from __future__ import annotations

import sys

import click

from loopline.cli.lazy import LazyGroup
from loopline.errors import LooplineError

__all__ = ["SECTIONS", "TABLE", "cli", "main"]

#: Exit codes: 0 done, 1 it did not work, 2 used wrongly, 130 stopped by Ctrl-C.
FAILED, INTERRUPTED = 1, 130

#: What click says of a value of the wrong type, and what one would say.
PLAINER = {
    "is not a valid integer range.": "is not a whole number.",
    "is not a valid integer.": "is not a whole number.",
    "is not a valid float range.": "is not a number.",
    "is not a valid float.": "is not a number.",
}

TABLE = {
    "init": ("loopline.cli.init:init", "Make a home for runs, models and flows here."),
    "demo": ("loopline.cli.demo:demo", "Show the whole life of a model on taxi fares."),
    "up": ("loopline.cli.up:up", "Run server, worker and scheduler together."),
    "server": ("loopline.cli.server:server", "Serve the API and the web pages."),
    "serve": ("loopline.cli.serve:serve", "Serve models over HTTP, by MLflow's scoring protocol."),
    "score": ("loopline.cli.score:score", "Score all rows of a table with a model."),
    "build": ("loopline.cli.build:build", "Make what serves a model with nothing else."),
    "truth": ("loopline.cli.truth:truth", "Tell what really happened after predictions."),
    "predictions": ("loopline.cli.truth:predictions", "Look at what a served model predicted."),
    "worker": ("loopline.cli.worker:worker", "Run flows that are due."),
    "runs": ("loopline.cli.runs:runs", "Look at runs, delete and restore them."),
    "experiments": ("loopline.cli.experiments:experiments", "Look at experiments."),
    "models": (
        "loopline.cli.models:models",
        "Look at registered models, change them and promote versions.",
    ),
    "policies": (
        "loopline.cli.policies:policies",
        "Say what decides over the versions of a model.",
    ),
    "decisions": (
        "loopline.cli.decisions:decisions",
        "See what was decided over versions, and say yes or no.",
    ),
    "lifecycle": (
        "loopline.cli.lifecycle:lifecycle",
        "Is a model still good, is a new one better, and then what.",
    ),
    "drift": (
        "loopline.cli.drift:drift",
        "Compare rows with those before, column by column.",
    ),
    "projects": (
        "loopline.cli.projects:projects",
        "Look at projects, make, describe and delete them.",
    ),
    "flows": ("loopline.cli.flows:flows", "Look at registered flows, run and schedule them."),
    "flow-runs": (
        "loopline.cli.flow_runs:flow_runs",
        "Look at flow runs and their logs; cancel, retry, pause, resume.",
    ),
    "workers": (
        "loopline.cli.workers:workers",
        "List workers with their slots, labels and what they run.",
    ),
    "automations": (
        "loopline.cli.automations:automations",
        "Do things by themselves when something happens.",
    ),
    "limits": ("loopline.cli.limits:limits", "Limit how many tasks with a tag run at a time."),
    "run": ("loopline.cli.run:run", "Run a script where there is more to run it on."),
    "vms": ("loopline.cli.vms:vms", "Look at cloud machines that run flow runs, delete strays."),
    "artifacts": ("loopline.cli.artifacts:artifacts", "List and download the files of a run."),
    "diff": ("loopline.cli.diff:diff", "Show what differs between two runs or model versions."),
    "lineage": (
        "loopline.cli.lineage:lineage",
        "Show what led to something and what came of it, as a tree.",
    ),
    "why": (
        "loopline.cli.lineage:why",
        "Tell who or what put a version in its place, on which data.",
    ),
    "reproduce": (
        "loopline.cli.reproduce:reproduce",
        "Run a run again from its record, and compare the metrics.",
    ),
    "data": ("loopline.cli.data:data", "Describe data, and see which runs and models used it."),
    "feeds": (
        "loopline.cli.feeds:feeds",
        "Look at data that grow, and what of it a model has not seen.",
    ),
    "warehouse": (
        "loopline.cli.warehouse:warehouse",
        "Ask and fill tables in DuckDB, in files, and in BigQuery.",
    ),
    "users": ("loopline.cli.users:users", "Say who may use a server, and what they may do there."),
    "tokens": ("loopline.cli.tokens:tokens", "Make, list and revoke API tokens of a server."),
    "webhooks": (
        "loopline.cli.webhooks:webhooks",
        "Tell others of what happens to registered models.",
    ),
    "secrets": (
        "loopline.cli.secrets:secrets",
        "Keep values that flows need and nobody is to read.",
    ),
    "audit": ("loopline.cli.audit:audit", "See who changed what through a server, newest first."),
    "sql": ("loopline.cli.sql:sql", "Ask the store in SQL, read-only."),
    "sync": ("loopline.cli.sync:sync", "Send what is still in journals."),
    "import": ("loopline.cli.import_:import_", "Bring in what another store has."),
    "export": ("loopline.cli.export:export", "Write runs, models and files out of the store."),
    "backup": (
        "loopline.cli.backup:backup",
        "Back up the store and all files while they are used.",
    ),
    "restore": (
        "loopline.cli.backup:restore",
        "Restore a backup into an empty home or PostgreSQL database.",
    ),
    "gc": ("loopline.cli.gc:gc", "Free the room of files that nothing names any more."),
    "doctor": ("loopline.cli.doctor:doctor", "Check a home and explain what it finds."),
    "version": ("loopline.cli.version:version", "Say which version is installed."),
}


def _show_version(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value:
        from loopline.server.version import installed_version

        click.echo(f"loopline {installed_version()}")
        context.exit()


#: What `loopline --help` shows together, in this order.
SECTIONS = {
    "First steps": ("init", "demo", "up", "doctor", "version"),
    "Runs and data": (
        "runs",
        "experiments",
        "artifacts",
        "diff",
        "reproduce",
        "lineage",
        "data",
        "feeds",
        "warehouse",
        "sql",
    ),
    "Models": ("models", "why", "policies", "decisions", "lifecycle", "drift"),
    "Serving": ("serve", "score", "build", "predictions", "truth"),
    "Flows": (
        "flows",
        "flow-runs",
        "projects",
        "worker",
        "workers",
        "automations",
        "limits",
        "secrets",
        "run",
        "vms",
    ),
    "Servers": ("server", "users", "tokens", "webhooks", "audit"),
    "Keeping and moving": ("sync", "import", "export", "backup", "restore", "gc"),
}

HELP = """Track experiments, register models, automate flows: the whole life of a model.

Every command takes --help. Those that show something take --json, and --uri to look into another
folder, database or server than the home (LOOPLINE_URI sets it for all).
"""

EPILOG = "First steps:  loopline demo taxifare   or   loopline init, then loopline up"

cli = LazyGroup("loopline", table=TABLE, sections=SECTIONS, help=HELP, epilog=EPILOG)
cli.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Say which version is installed.",
    )
)


def main() -> None:
    """Run the command line; errors of ours are told in a sentence, never as a traceback."""
    try:
        code = cli.main(prog_name="loopline", standalone_mode=False)
    except click.ClickException as error:
        for clicks, ours in PLAINER.items():
            error.message = error.message.replace(clicks, ours)  # type: ignore[misc]
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except LooplineError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FAILED)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "loopline"):
            raise  # A fault of ours.
        click.echo(
            f"Error: This needs the package {package}, which is not installed here. Install it: "
            f"python -m pip install {package}. `loopline doctor` lists the extras.",
            err=True,
        )
        sys.exit(FAILED)
    except BrokenPipeError:
        # Whoever read the output has enough (`| head`); Python must not complain at exit.
        sys.stdout = None
        sys.exit(FAILED)
    except OSError as error:
        from loopline.disk import NO_ROOM

        where = f" ({error.filename})" if error.filename else ""
        advice = "The disk is full: free some space" if error.errno in NO_ROOM else "Check the path"
        click.echo(f"Error: {error.strerror or error}{where}. {advice}, then retry.", err=True)
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else 0)
