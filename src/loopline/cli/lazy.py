"""Command groups that import a command only when it is used, so that ``--help`` is instant."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LazyGroup"]

#: So many commands are named in an error when none is near to what was typed.
FEW = 12


class LazyGroup(click.Group):
    """A group whose commands are named by a table.

    Args:
        table: Command name, to ``(module:attribute, one line of help)``. The help is the first
            line of the command's own; a test holds the two together.
        sections: Heading, to the names of the commands below it, in order; what none of them
            names comes last. Without any: one list.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        table: Mapping[str, tuple[str, str]],
        sections: Mapping[str, Sequence[str]] | None = None,
        help: str = "",  # noqa: A002 - click's name
        epilog: str | None = None,
    ) -> None:
        super().__init__(name, help=help, epilog=epilog)
        self.table = table
        self.sections = sections or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the table's order."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong name is answered with the nearest right one."""
        from difflib import get_close_matches

        if args[0] not in self.table and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.table, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            if not near and len(self.table) <= FEW:
                meant = f" There are {', '.join(self.table)}."
            elif args[0] == "help":
                meant = f" Write `{' '.join([ctx.command_path, *args[1:2]])} --help`."
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the table's help, importing none of them."""
        del ctx
        named = {name for names in self.sections.values() for name in names}
        others = [name for name in self.table if name not in named]
        for heading, names in [*self.sections.items(), ("Commands", others)]:
            if names:
                with formatter.section(heading):
                    # Spaces make one column of all sections.
                    width = max(map(len, self.table))
                    formatter.write_dl([(f"{name:{width}}", self.table[name][1]) for name in names])
