"""``loopline models``: looking at registered models and moving their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import actor, epilog, with_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.registry import ModelVersion, RegisteredModel

__all__ = ["models", "print_models", "print_versions"]


@click.command("list", epilog=epilog("loopline models list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List registered models."""
    from loopline.cli.output import print_json
    from loopline.records.operations import ListModels

    found = backend.call(ListModels())
    if as_json:
        print_json(found)
        return
    print_models(found, empty="No registered models yet. Give log_model a registered_model_name.")


def print_models(found: Sequence[RegisteredModel], *, empty: str) -> None:
    """Print models as a table."""
    from loopline.cli.output import ago, print_table

    print_table(
        ("MODEL", "PRODUCTION", "STAGING", "NEWEST", "ALIASES", "LAST CHANGE"),
        [
            (
                model.name,
                _version(model.champions.get("Production")),
                _version(model.champions.get("Staging")),
                _version(model.latest_version),
                ", ".join(
                    f"@{alias} v{version}" for alias, version in sorted(model.aliases.items())
                ),
                ago(model.updated_ms),
            )
            for model in found
        ],
        empty=empty,
        right=("PRODUCTION", "STAGING", "NEWEST"),
    )


@click.command(epilog=epilog("loopline models show taxifare_model"))
@click.argument("name")
@with_backend
def show(backend: Backend, *, name: str, as_json: bool) -> None:
    """Show a model and its versions."""
    from loopline.cli.output import print_facts, print_json
    from loopline.records.operations import GetModel, ListVersions

    model = backend.call(GetModel(name=name))
    versions = backend.call(ListVersions(name=name))
    if as_json:
        print_json({"model": model, "versions": versions})
        return
    print_facts(
        [
            ("Model", model.name),
            ("Description", model.description),
            ("Stages of its own", ", ".join(model.stages)),
            ("Tags", "\n".join(f"{key}={value}" for key, value in sorted(model.tags.items()))),
        ]
    )
    click.echo()
    print_versions(versions, empty="It has no versions yet.")


def print_versions(
    versions: Sequence[ModelVersion], *, empty: str, with_names: bool = False
) -> None:
    """Print versions as a table, with the metrics they were registered with."""
    from loopline.cli.output import ago, print_table
    from loopline.rules.words import number_words, size_words

    keys = sorted({key for version in versions for key in version.metrics})[:3]
    print_table(
        (
            *(("MODEL",) if with_names else ()),
            *("VERSION", "STAGE", "ALIASES", *keys, "REGISTERED", "BY", "RUN", "SIZE"),
        ),
        [
            (
                *((version.name,) if with_names else ()),
                f"v{version.version}",
                version.stage,
                ", ".join(f"@{alias}" for alias in version.aliases),
                *(number_words(version.metrics[k]) if k in version.metrics else "" for k in keys),
                ago(version.created_ms),
                version.actor,
                version.run_id[:8],
                size_words(version.size_bytes),
            )
            for version in versions
        ],
        empty=empty,
        right=("VERSION", "SIZE", *keys),
    )


@click.command(epilog=epilog("loopline models history taxifare_model"))
@click.argument("name")
@with_backend
def history(backend: Backend, *, name: str, as_json: bool) -> None:
    """Tell who moved which version when, and why."""
    from loopline.cli.output import print_json, print_table
    from loopline.records.operations import ListVersionEvents
    from loopline.rules.words import time_words

    events = backend.call(ListVersionEvents(name=name))
    if as_json:
        print_json(events)
        return
    print_table(
        ("WHEN", "VERSION", "WHAT", "FROM", "TO", "WHO", "WHY"),
        [
            (
                time_words(event.at_ms),
                _version(event.version),
                event.kind,
                event.before,
                event.after,
                event.actor,
                event.reason,
            )
            for event in events
        ],
        empty="Nobody has moved a version yet.",
        right=("VERSION",),
    )


@click.command(
    epilog=epilog(
        "loopline models promote taxifare_model 3 --reason 'beats v2 by 23 %'",
        "loopline models promote taxifare_model 2 --stage Staging",
    )
)
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@with_backend
@click.option(
    "--stage",
    default="Production",
    show_default=True,
    metavar="STAGE",
    help="Where to move it: None, Staging, Production, Archived, or one of the model's own.",
)
@click.option("--reason", default="", help="Why, kept in the history.")
@click.option("--keep-others", is_flag=True, help="Do not archive what is in that stage now.")
def promote(
    backend: Backend,
    *,
    name: str,
    version: int,
    stage: str,
    reason: str,
    keep_others: bool,
    as_json: bool,
) -> None:
    """Move a version to a stage; the one there before is archived."""
    from loopline.cli.output import print_json
    from loopline.records.operations import TransitionStage

    moved = backend.call(
        TransitionStage(
            name=name,
            version=version,
            stage=stage,
            archive_existing=False if keep_others else None,
            reason=reason,
            actor=actor(),
        )
    )
    if as_json:
        print_json(moved)
    else:
        click.echo(f"{name} v{version} is in {moved.stage} now.")


@click.command(
    epilog=epilog(
        "loopline models alias taxifare_model champion 3",
        "loopline models alias taxifare_model champion --remove",
    )
)
@click.argument("name")
@click.argument("alias")
@click.argument("version", type=click.IntRange(1), required=False)
@with_backend
@click.option("--remove", is_flag=True, help="Take the alias away.")
def alias(
    backend: Backend, *, name: str, alias: str, version: int | None, remove: bool, as_json: bool
) -> None:
    """Point an alias at a version, or take it away."""
    from loopline.cli.output import print_json
    from loopline.records.operations import RemoveAlias, SetAlias

    if remove == (version is not None):
        msg = "Give a VERSION to point the alias at, or --remove to take it away."
        raise click.UsageError(msg)
    if version is None:
        model = backend.call(RemoveAlias(name=name, alias=alias, actor=actor()))
        changed: object = model
        said = f"{name} has no alias @{alias} now."
    else:
        changed = backend.call(SetAlias(name=name, alias=alias, version=version, actor=actor()))
        said = f"@{alias} of {name} is v{version} now."
    if as_json:
        print_json(changed)
    else:
        click.echo(said)


@click.command(
    epilog=epilog(
        "loopline models stage taxifare_model Canary --seen-as Staging",
        "loopline models stage taxifare_model Canary --remove",
    )
)
@click.argument("name")
@click.argument("stage")
@with_backend
@click.option(
    "--seen-as",
    default="None",
    show_default=True,
    type=click.Choice(["None", "Staging", "Archived"], case_sensitive=False),
    help="What MLflow's clients, who know four stages, are told of a version in it.",
)
@click.option("--remove", is_flag=True, help="Take the stage away; no version may stand in it.")
def stage(
    backend: Backend, *, name: str, stage: str, seen_as: str, remove: bool, as_json: bool
) -> None:
    """Give a model a stage of its own, beside the four that each has, or take it away."""
    from loopline.cli.output import print_json
    from loopline.records.operations import AddStage, RemoveStage

    model = (
        backend.call(RemoveStage(name=name, stage=stage, actor=actor()))
        if remove
        else backend.call(AddStage(name=name, stage=stage, seen_as=seen_as, actor=actor()))
    )
    if as_json:
        print_json(model)
        return
    own = ", ".join(f"{each} (MLflow sees {seen.value})" for each, seen in model.stages.items())
    click.echo(f"Stages of {name} beside the four: {own or 'none'}.")


def _version(number: int | None) -> str:
    return f"v{number}" if number else ""


_CHANGES = "loopline.cli.model_changes"
_SEARCH = "loopline.cli.model_search"

models = LazyGroup(
    "models",
    help="Look at registered models, change them and promote versions.",
    table={
        "list": (f"{__name__}:list_", "List registered models."),
        "show": (f"{__name__}:show", "Show a model and its versions."),
        "search": (f"{_SEARCH}:search", "Find models by name and tags."),
        "versions": (
            f"{_SEARCH}:versions",
            "Find versions of all models by name, number, run, source and tags.",
        ),
        "logged": (
            "loopline.cli.logged_models:logged",
            "Look at logged models, which need not be registered.",
        ),
        "promote": (
            f"{__name__}:promote",
            "Move a version to a stage; the one there before is archived.",
        ),
        "rollback": (
            f"{_CHANGES}:roll_back",
            "Give a stage back to the version that was its champion before.",
        ),
        "history": (f"{__name__}:history", "Tell who moved which version when, and why."),
        "card": (
            "loopline.cli.model_card:card",
            "Write a model card from the facts, for a person to complete.",
        ),
        "alias": (f"{__name__}:alias", "Point an alias at a version, or take it away."),
        "stage": (
            f"{__name__}:stage",
            "Give a model a stage of its own, beside the four that each has, or take it away.",
        ),
        "tag": (f"{_CHANGES}:tag", "Set and take off tags of a model or a version."),
        "describe": (f"{_CHANGES}:describe", "Say what a model or a version is."),
        "create": (f"{_CHANGES}:create", "Make a registered model without versions."),
        "copy": (
            f"{_CHANGES}:copy",
            "Make the next version of a model from one there is, here or in another store.",
        ),
        "take-files": (
            f"{_CHANGES}:take_files",
            "Give a version registered without files those that its run has now, for good.",
        ),
        "rename": (
            f"{_CHANGES}:rename",
            "Give a model another name; everything it has follows.",
        ),
        "delete": (
            f"{_CHANGES}:delete",
            "Delete a version, or a model with all its versions, for good.",
        ),
    },
)
