"""Style of pictures: colours for light and dark, how wide text is, where long names break."""

from __future__ import annotations

import re
from math import ceil

__all__ = ["STYLE", "text_width", "wrap"]

#: Colours of states: for light and for dark ground, both at least 3:1 against it.
_COLOURS = {
    "Pending": ("#8c959f", "#6e7681"),
    "Scheduled": ("#8c959f", "#6e7681"),
    "Submitted": ("#54aeff", "#388bfd"),
    "Running": ("#0969da", "#58a6ff"),
    "Retrying": ("#bf8700", "#d29922"),
    "Queued": ("#bf8700", "#d29922"),
    "Paused": ("#bf8700", "#d29922"),
    "Success": ("#1a7f37", "#3fb950"),
    "Cached": ("#1a7f37", "#3fb950"),
    "Mapped": ("#1a7f37", "#3fb950"),
    "Skipped": ("#6e7781", "#8b949e"),
    "Failed": ("#cf222e", "#f85149"),
    "TimedOut": ("#cf222e", "#f85149"),
    "TriggerFailed": ("#bc4c00", "#db6d28"),
    "Cancelled": ("#8250df", "#a371f7"),
}

_LIGHT = "--ground:#ffffff;--ink:#1f2328;--soft:#656d76;--line:#8c959f;--rim:#afb8c1"
_DARK = "--ground:#0d1117;--ink:#e6edf3;--soft:#8d96a0;--line:#6e7681;--rim:#484f58"


def _variables(index: int) -> str:
    colours = "".join(f";--{state}:{pair[index]}" for state, pair in _COLOURS.items())
    return (_LIGHT, _DARK)[index] + colours


_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_HALO = "stroke:var(--ground);stroke-width:4px;stroke-linejoin:round;paint-order:stroke"

#: Every rule begins with the picture's own class: in a page, styles reach everything.
STYLE = "".join(
    (
        f".loopline-flow{{{_variables(0)};{_FONT};max-width:100%;height:auto}}",
        f"@media(prefers-color-scheme:dark){{.loopline-flow{{{_variables(1)}}}}}",
        ".loopline-flow .ground{fill:var(--ground)}",
        ".loopline-flow text{text-anchor:middle;fill:var(--ink)}",
        ".loopline-flow .title{font-size:14px;font-weight:600}",
        ".loopline-flow .name{font-size:13px;font-weight:600}",
        ".loopline-flow .note{font-size:11px;fill:var(--soft)}",
        f".loopline-flow .key{{font-size:10.5px;fill:var(--soft);{_HALO}}}",
        ".loopline-flow .edge{fill:none;stroke:var(--line);stroke-width:1.3}",
        ".loopline-flow .order{stroke-dasharray:4 3}",
        ".loopline-flow marker path{fill:var(--line)}",
        ".loopline-flow .task{--state:var(--rim)}",
        ".loopline-flow .paper,.loopline-flow .behind{fill:var(--ground)}",
        ".loopline-flow .behind,.loopline-flow .box{stroke:var(--state);stroke-width:1.4}",
        ".loopline-flow .box{fill:var(--state);fill-opacity:.1}",
        ".loopline-flow .dot{fill:var(--state)}",
        ".loopline-flow .Pending .box,.loopline-flow .Scheduled .box{stroke-dasharray:4 3}",
        ".loopline-flow a{text-decoration:none}",
        ".loopline-flow a:hover .box,.loopline-flow a:focus .box{fill-opacity:.22}",
        "".join(f".loopline-flow .{state}{{--state:var(--{state})}}" for state in _COLOURS),
    )
)

#: Widths of characters in ems, of a wide sans-serif: text must fit whatever font there is.
_NARROW = frozenset("fijlrtI.,:;'|!()[]{}-/ ·")
_WIDE = frozenset("mwMW@%&—")


def text_width(text: str, size_px: float, *, bold: bool = False) -> float:
    """Estimate how wide text is, in pixels; rather too wide than too narrow."""
    ems = 0.0
    for char in text:
        if char in _NARROW:
            ems += 0.36
        elif char in _WIDE:
            ems += 0.92
        elif char.isupper() or char == "_":
            ems += 0.68 if char != "_" else 0.52
        elif ord(char) > 0x2E7F:  # noqa: PLR2004 - where East Asian scripts begin: full width
            ems += 1.05
        else:
            ems += 0.58
    return ems * size_px * (1.06 if bold else 1.0)


#: Pieces that a line may end after: words of any of the usual ways to write names.
_PIECES = re.compile(r"[A-Z]?[^\sA-Z_./-]+[\s_./-]*|[A-Z]+(?![a-z])[\s_./-]*|.", re.DOTALL)


def wrap(name: str, most: int = 24, lines: int = 3) -> list[str]:
    """Break a long name between its words, else anywhere, and cut what needs too many lines."""
    if len(name) <= most:
        return [name.strip() or "?"]
    # Lines of about equal length look better than full ones with a short rest.
    aim = min(most, ceil(len(name) / ceil(len(name) / most)) + 3)
    found = [""]
    for piece in _PIECES.findall(name):
        if found[-1] and len(found[-1]) + len(piece.rstrip()) > aim:
            found.append("")
        rest = piece
        while len(rest) > most:
            found[-1], rest = rest[:most], rest[most:]
            found.append("")
        found[-1] += rest
    found = [line.strip() for line in found if line.strip()]
    if len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1][: most - 1] + "…"]
    return found
