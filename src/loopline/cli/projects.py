"""``loopline projects``: where flows are listed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend, with_new_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["projects"]


@click.command("list", epilog=epilog("loopline projects list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List projects with how many flows and runs they have."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListProjects

    found = backend.call(ListProjects())
    if as_json:
        print_json(found)
        return
    print_table(
        ("PROJECT", "FLOWS", "RUNS", "RUNNING", "MADE", "DESCRIPTION"),
        [
            (each.name, each.flows, each.flow_runs, each.running, ago(each.created_ms),
             each.description)
            for each in found
        ],
        empty='No projects yet. Registering a flow makes one: flow.register("project").',
        right=("FLOWS", "RUNS", "RUNNING"),
    )  # fmt: skip


@click.command(epilog=epilog('loopline projects create "wagoncab project"'))
@click.argument("name")
@with_new_backend
@click.option("--description", default="", help="What it is for.")
def create(backend: Backend, *, name: str, description: str, as_json: bool) -> None:
    """Make a project; registering a flow makes a missing one by itself."""
    from loopline.cli.output import print_json
    from loopline.records.operations import CreateProject

    made = backend.call(CreateProject(name=name, description=description))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made.name} is there now, without flows.")


@click.command(epilog=epilog('loopline projects describe "wagoncab project" "Fares by night."'))
@click.argument("name")
@click.argument("description", required=False)
@with_backend
def describe(backend: Backend, *, name: str, description: str | None, as_json: bool) -> None:
    """Show a project, or say what it is for."""
    from loopline.cli.output import ago, print_facts, print_json
    from loopline.records.operations import GetProject, UpdateProject

    if description is None:
        project = backend.call(GetProject(name=name))
    else:
        project = backend.call(UpdateProject(name=name, description=description))
    if as_json:
        print_json(project)
        return
    print_facts(
        [
            ("Project", project.name),
            ("Description", project.description),
            ("Made", ago(project.created_ms)),
            ("Flows", str(project.flows)),
            ("Runs", f"{project.flow_runs}, {project.running} of them running"),
        ]
    )


@click.command(epilog=epilog('loopline projects delete "wagoncab project" --force'))
@click.argument("name")
@with_backend
@click.option("--force", is_flag=True, help="With its flows, their runs and all that is known.")
def delete(backend: Backend, *, name: str, force: bool, as_json: bool) -> None:
    """Delete a project that has no flows, or by force with all that is in it."""
    from loopline.cli.output import print_json
    from loopline.records.operations import DeleteProject
    from loopline.rules.words import count_words

    gone = backend.call(DeleteProject(name=name, force=force))
    if as_json:
        print_json(gone)
    else:
        flows, runs = count_words(gone.flows, "flow"), count_words(gone.flow_runs, "run")
        click.echo(f"{name} is gone, with {flows} and {runs}.")


projects = LazyGroup(
    "projects",
    help="Look at projects, make, describe and delete them.",
    table={
        "list": (f"{__name__}:list_", "List projects with how many flows and runs they have."),
        "create": (
            f"{__name__}:create",
            "Make a project; registering a flow makes a missing one by itself.",
        ),
        "describe": (f"{__name__}:describe", "Show a project, or say what it is for."),
        "delete": (
            f"{__name__}:delete",
            "Delete a project that has no flows, or by force with all that is in it.",
        ),
    },
)
