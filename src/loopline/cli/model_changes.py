"""``loopline models``: making, describing, tagging, renaming, copying and deleting."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loopline.cli.options import actor, epilog, open_at, with_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.registry import ModelVersion, RegisteredModel

__all__ = ["copy", "create", "delete", "describe", "rename", "roll_back", "tag", "take_files"]

_version = click.option("--version", type=click.IntRange(1), help="Of this version, not the model.")


@click.command(
    epilog=epilog(
        "loopline models create taxifare_model",
        "loopline models create taxifare_model --description 'What a ride costs' --tag team=fares",
    )
)
@click.argument("name")
@with_backend
@click.option("--description", default="", help="What it is.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; may be repeated.")
def create(
    backend: Backend, *, name: str, description: str, tags: Sequence[str], as_json: bool
) -> None:
    """Make a registered model without versions."""
    from loopline.cli.output import print_json
    from loopline.records.operations import CreateModel

    made = backend.call(
        CreateModel(name=name, description=description, tags=_pairs(tags), actor=actor())
    )
    if as_json:
        print_json(made)
    else:
        click.echo(f"{name} is there now, without versions.")


@click.command(
    epilog=epilog(
        "loopline models describe taxifare_model 'What a ride will cost'",
        "loopline models describe taxifare_model 'Good at night' --version 3",
    )
)
@click.argument("name")
@click.argument("text")
@with_backend
@_version
def describe(backend: Backend, *, name: str, text: str, version: int | None, as_json: bool) -> None:
    """Say what a model or a version is."""
    from loopline.cli.output import print_json
    from loopline.records.operations import UpdateModel, UpdateVersion

    changed: RegisteredModel | ModelVersion
    if version is None:
        changed = backend.call(UpdateModel(name=name, description=text))
    else:
        changed = backend.call(UpdateVersion(name=name, version=version, description=text))
    if as_json:
        print_json(changed)
    else:
        click.echo(f"{_named(name, version)}: {text}")


@click.command(
    epilog=epilog(
        "loopline models tag taxifare_model team=fares city='New York'",
        "loopline models tag taxifare_model reviewed=yes --version 3",
        "loopline models tag taxifare_model --remove team",
    )
)
@click.argument("name")
@click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
@with_backend
@_version
@click.option("--remove", multiple=True, metavar="KEY", help="Take it off; may be repeated.")
def tag(
    backend: Backend,
    *,
    name: str,
    tags: Sequence[str],
    version: int | None,
    remove: Sequence[str],
    as_json: bool,
) -> None:
    """Set and take off tags of a model or a version."""
    from loopline.cli.output import print_facts, print_json
    from loopline.records import operations as ops

    if not tags and not remove:
        msg = "Give KEY=VALUE to set, or --remove KEY to take it off."
        raise click.UsageError(msg)
    pairs = _pairs(tags)
    changed: RegisteredModel | ModelVersion
    if version is None:
        changed = backend.call(ops.SetModelTags(name=name, tags=pairs))
        for key in remove:
            changed = backend.call(ops.RemoveModelTag(name=name, key=key))
    else:
        changed = backend.call(ops.SetVersionTags(name=name, version=version, tags=pairs))
        for key in remove:
            changed = backend.call(ops.RemoveVersionTag(name=name, version=version, key=key))
    if as_json:
        print_json(changed)
    elif changed.tags:
        print_facts(sorted(changed.tags.items()))
    else:
        click.echo(f"{_named(name, version)} has no tags now.")


@click.command(epilog=epilog("loopline models rename taxifare_model fares"))
@click.argument("name")
@click.argument("new_name")
@with_backend
def rename(backend: Backend, *, name: str, new_name: str, as_json: bool) -> None:
    """Give a model another name; everything it has follows."""
    from loopline.cli.output import print_json
    from loopline.records.operations import RenameModel

    renamed = backend.call(RenameModel(name=name, new_name=new_name, actor=actor()))
    if as_json:
        print_json(renamed)
    else:
        click.echo(f"{name} is {new_name} now.")


@click.command(
    epilog=epilog(
        "loopline models copy taxifare_model 3 taxifare_live",
        "loopline models copy taxifare_model 3 taxifare --to http://prod:5050 --stage Staging",
    )
)
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.argument("as_name", metavar="TO")
@with_backend
@click.option("--to", "target", metavar="URI", help="Another server, home or database to copy to.")
@click.option("--stage", default="", help="Move the copy to this stage.")
@click.option("--reason", default="", help="Why it is moved, kept in the history.")
def copy(
    backend: Backend,
    *,
    name: str,
    version: int,
    as_name: str,
    target: str | None,
    stage: str,
    reason: str,
    as_json: bool,
) -> None:
    """Make the next version of a model from one there is, here or in another store."""
    from loopline.cli.output import print_json
    from loopline.records.operations import CopyVersion, ResolveModel, TransitionStage
    from loopline.registry.between import copy_between

    there = open_at(target, may_make=False) if target else backend
    try:
        if target:
            which = ResolveModel(name=name, version=version)
            made = copy_between(backend, there, which, as_name, actor=actor())
        else:
            made = there.call(CopyVersion(name=name, version=version, to=as_name, actor=actor()))
        if stage:
            made = there.call(
                TransitionStage(
                    name=as_name, version=made.version, stage=stage, reason=reason, actor=actor()
                )
            )
    finally:
        if there is not backend:
            there.close()
    if as_json:
        print_json(made)
        return
    where = f" at {there.address}" if target else ""
    stands = f", in {made.stage}" if stage else ""
    click.echo(f"{name} v{version} is {as_name} v{made.version}{where}, too{stands}.")


@click.command(epilog=epilog("loopline models take-files taxifare_model 3"))
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@with_backend
def take_files(backend: Backend, *, name: str, version: int, as_json: bool) -> None:
    """Give a version registered without files those that its run has now, for good."""
    from loopline.cli.output import print_json
    from loopline.records.operations import TakeFiles
    from loopline.rules.words import size_words

    made = backend.call(TakeFiles(name=name, version=version, actor=actor()))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{name} v{version} has its files now: {size_words(made.size_bytes)}.")


@click.command(
    epilog=epilog(
        "loopline models delete taxifare_model 3", "loopline models delete taxifare_model --yes"
    )
)
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@with_backend
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(backend: Backend, *, name: str, version: int | None, yes: bool, as_json: bool) -> None:
    """Delete a version, or a model with all its versions, for good."""
    from loopline.cli.output import print_json
    from loopline.records.operations import DeleteModel, DeleteVersion, GetVersion, ListVersions
    from loopline.rules.words import count_words

    if version is None:
        count = len(backend.call(ListVersions(name=name)))
        what = f"the model {name} with {count_words(count, 'version')}"
    else:
        found = backend.call(GetVersion(name=name, version=version))
        stands = [found.stage, *(f"@{alias}" for alias in found.aliases)]
        what = f"{name} v{version} ({', '.join(stands)})"
    if not yes:
        _ask(what)
    if version is None:
        changed = backend.call(DeleteModel(name=name, actor=actor()))
    else:
        changed = backend.call(DeleteVersion(name=name, version=version, actor=actor()))
    if as_json:
        print_json(changed)
    else:
        click.echo(f"Deleted {what}. `loopline gc` frees what only it needed.")


def _ask(what: str) -> None:
    """Ask whether to delete; end the command unless the answer is yes."""
    from loopline.cli.output import say

    if sys.stdin.isatty() and click.confirm(f"Delete {what}, for good?", err=True):
        return
    say("Nothing was deleted. To delete it without being asked, add --yes.")
    raise click.exceptions.Exit(1)


def _pairs(tags: Sequence[str]) -> dict[str, str]:
    """Read tags as they are typed."""
    pairs = {}
    for text in tags:
        key, equals, value = text.partition("=")
        if not equals:
            msg = f"{text!r} is no tag. Write KEY=VALUE."
            raise click.UsageError(msg)
        pairs[key] = value
    return pairs


def _named(name: str, version: int | None) -> str:
    return name if version is None else f"{name} v{version}"


@click.command(
    "rollback",
    epilog=epilog(
        "loopline models rollback taxifare_model --reason 'riders complain'",
        "loopline models rollback taxifare_model --to 3 --reason 'v5 is slow'",
    ),
)
@click.argument("name")
@with_backend
@click.option("--stage", default="Production", show_default=True, help="Which stage.")
@click.option("--to", type=click.IntRange(1), help="This version, not the champion before.")
@click.option("--reason", required=True, help="Why, kept in the history.")
def roll_back(
    backend: Backend, *, name: str, stage: str, to: int | None, reason: str, as_json: bool
) -> None:
    """Give a stage back to the version that was its champion before."""
    from loopline.cli.output import print_json
    from loopline.records.operations import RollBack

    moved = backend.call(RollBack(name=name, stage=stage, to=to, reason=reason, actor=actor()))
    if as_json:
        print_json(moved)
    else:
        click.echo(f"{name} v{moved.version} is in {moved.stage} again.")
