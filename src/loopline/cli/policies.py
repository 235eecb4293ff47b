"""``loopline policies``: what decides over the versions of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import actor, epilog, with_backend, with_new_backend
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from loopline.backend.protocol import Backend
    from loopline.records.policies import Policy

__all__ = ["policies"]

_stage = click.option("--stage", default="Production", show_default=True, help="Of this stage.")


@click.command("list", epilog=epilog("loopline policies list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List the policies that count now."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListPolicies
    from loopline.rules.gate_words import gate_words

    found = backend.call(ListPolicies())
    if as_json:
        print_json(found)
        return
    print_table(
        ("MODEL", "STAGE", "METRIC", "GATES", "SINCE", "BY"),
        [
            (
                kept.policy.model,
                kept.policy.stage,
                kept.policy.metric,
                "; ".join(gate_words(gate, kept.policy.metric) for gate in kept.policy.gates),
                ago(kept.at_ms),
                kept.actor,
            )
            for kept in found
        ],
        empty="No policies yet. `loopline policies set --help` shows one.",
    )


@click.command(epilog=epilog("loopline policies show taxifare_model"))
@click.argument("name")
@with_backend
@_stage
def show(backend: Backend, *, name: str, stage: str, as_json: bool) -> None:
    """Show what decides over a model."""
    from loopline.cli.output import print_facts, print_json
    from loopline.records.operations import GetPolicy
    from loopline.rules.gate_words import policy_words
    from loopline.rules.words import time_words

    kept = backend.call(GetPolicy(name=name, stage=stage))
    if as_json:
        print_json(kept)
        return
    since = f"{time_words(kept.at_ms)}, by {kept.actor or 'somebody'} (number {kept.number})"
    print_facts([*policy_words(kept.policy), ("Since", since)])


@click.command(
    "set",
    epilog=epilog(
        "loopline policies set policy.toml",
        "",
        "policy.toml:",
        '  model = "taxifare_model"',
        '  metric = "rmse"',
        '  gates = [{gate = "gain", at_least = 0.05}, {gate = "slices", by = "borough"},',
        '           {gate = "bound", at_most = 6.0}, {gate = "approval", by = ["ada"]}]',
        "  rollback = {at_most_worse = 0.2, for_s = 3600}",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_new_backend
def set_(backend: Backend, *, file: Path, as_json: bool) -> None:
    """Decide over a model by a file in TOML or JSON from now on."""
    from loopline.cli.output import print_json
    from loopline.records.operations import SetPolicy

    kept = backend.call(SetPolicy(policy=read_policy(file), actor=actor()))
    if as_json:
        print_json(kept)
        return
    policy = kept.policy
    click.echo(f"{policy.stage} of {policy.model} is decided by policy {kept.number} now.")


def read_policy(file: Path) -> Policy:
    """Read a policy from a file.

    Raises:
        InvalidInputError: It is none; the message says where it is wrong.
    """
    import tomllib

    import msgspec

    from loopline.records.policies import Policy

    try:
        text = file.read_text(encoding="utf-8")
        data = msgspec.json.decode(text) if file.suffix == ".json" else tomllib.loads(text)
        _check_names(data)
        return msgspec.convert(data, Policy)
    except (ValueError, msgspec.MsgspecError) as error:
        msg = f"{file} is no policy: {error}. `loopline policies set --help` shows one."
        raise InvalidInputError(msg) from None


def _check_names(data: object) -> None:
    """Refuse names that no policy has: one that is mistyped would be passed over."""
    from typing import get_args

    from loopline.records.policies import Gate, Policy, Rollback

    if not isinstance(data, dict):
        return
    _check_fields("a policy", data, Policy)
    _check_fields("a rollback", data.get("rollback"), Rollback)
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(Gate)}
    gates = data.get("gates")
    for gate in gates if isinstance(gates, list) else ():
        if not isinstance(gate, dict):
            continue  # Said by the conversion, with its place.
        name = gate.get("gate")
        if name not in kinds:
            there = ", ".join(kinds)
            msg = f"there is no gate {name!r}{_meant(str(name), kinds)}; there are {there}"
            raise ValueError(msg)
        values = {key: value for key, value in gate.items() if key != "gate"}
        _check_fields(f"the gate {name!r}", values, kinds[name])


def _check_fields(what: str, data: object, kind: type[msgspec.Struct]) -> None:
    known = kind.__struct_fields__
    for name in data if isinstance(data, dict) else ():
        if name not in known:
            msg = f"{what} has no {name!r}{_meant(name, known)}; it has {', '.join(known)}"
            raise ValueError(msg)


def _meant(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


@click.command(epilog=epilog("loopline policies delete taxifare_model"))
@click.argument("name")
@with_backend
@_stage
def delete(backend: Backend, *, name: str, stage: str, as_json: bool) -> None:
    """Decide by no policy any more; what was decided stays on record."""
    from loopline.cli.output import print_json
    from loopline.records.operations import DeletePolicy

    was = backend.call(DeletePolicy(name=name, stage=stage, actor=actor()))
    if as_json:
        print_json(was)
    else:
        click.echo(f"No policy decides over {was.policy.stage} of {name} now.")


policies = LazyGroup(
    "policies",
    help="Say what decides over the versions of a model.",
    table={
        "list": (f"{__name__}:list_", "List the policies that count now."),
        "show": (f"{__name__}:show", "Show what decides over a model."),
        "set": (f"{__name__}:set_", "Decide over a model by a file in TOML or JSON from now on."),
        "delete": (
            f"{__name__}:delete",
            "Decide by no policy any more; what was decided stays on record.",
        ),
    },
)
