"""The report of drift as a page of its own: a table, and before and now side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.records.drift import ColumnDrift, DriftReport

__all__ = ["report_body", "report_page"]

WIDTH, HEIGHT, GAP = 300, 84, 2
#: Columns that get a picture; the rest stand in the table.
MOST_PICTURES = 24

STYLE = (
    ".ll-drift{--ink:#1c2430;--faint:#5b6675;--ground:#fff;--line:#e3e7ec;--old:#9fb0c3;"
    "--new:#1d5fd1;--bad:#b3261e;color:var(--ink);background:var(--ground);"
    "font:14px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;padding:1rem}"
    "@media(prefers-color-scheme:dark){.ll-drift{--ink:#e6ebf2;--faint:#98a4b3;--ground:#12171e;"
    "--line:#2a323d;--old:#5c6b7d;--new:#6cb0ff;--bad:#ff8f87}}"
    ".ll-drift h1{font-size:1.3rem;margin:0 0 .3rem}.ll-drift p{margin:.2rem 0 1rem}"
    ".ll-drift .soft{color:var(--faint)}.ll-drift .bad{color:var(--bad);font-weight:600}"
    ".ll-drift .scroll{overflow-x:auto}.ll-drift table{border-collapse:collapse;width:100%}"
    ".ll-drift th,.ll-drift td{text-align:left;padding:.3rem .6rem .3rem 0;vertical-align:top;"
    "border-bottom:1px solid var(--line)}.ll-drift .n{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}.ll-drift th{color:var(--faint);font-weight:600}"
    ".ll-drift td:nth-child(2){min-width:13rem}.ll-drift td:first-child{overflow-wrap:anywhere;"
    "min-width:5rem}.ll-drift .grid{display:grid;"
    "grid-template-columns:repeat(auto-fill,minmax(270px,1fr));"
    "gap:1rem;margin-top:1.2rem}.ll-drift figure{margin:0;min-width:0}"
    ".ll-drift figcaption{font-weight:600;overflow-wrap:anywhere}.ll-drift svg{width:100%;"
    "height:auto;display:block}.ll-drift .o{fill:var(--old)}.ll-drift .w{fill:var(--new)}"
    ".ll-drift .key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;"
    "margin:0 .35em 0 .9em;vertical-align:-.05em}"
)


def report_page(report: DriftReport) -> str:
    """Draw a report as a whole HTML file."""
    title = f"Drift of {report.name or 'rows'}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title>"
        "<style>body{margin:0;background:#fff}@media(prefers-color-scheme:dark)"
        "{body{background:#12171e}}</style></head><body>"
        f"<main>{report_body(report)}</main></body></html>"
    )


def report_body(report: DriftReport) -> str:
    """Draw a report as one element, for a notebook or a page."""
    shown = sorted(report.columns, key=lambda each: (not each.is_drifted, -each.psi))
    pictures = "".join(_picture(column) for column in shown[:MOST_PICTURES] if column.bins)
    said = f"{report.rows_now:,} rows now, {report.rows_before:,} before."
    if report.name or report.against:
        said = (
            f"Now {escape(report.name or 'rows')} ({report.rows_now:,} rows), before "
            f"{escape(report.against or 'rows')} ({report.rows_before:,} rows)."
        )
    coarse = ""
    if any(column.is_coarse for column in report.columns):
        coarse = " What is known of before is a profile, so the shares are rough."
    return (
        f'<div class="ll-drift"><style>{STYLE}</style><h1>{escape(report.sentence)}</h1>'
        f'<p class="soft">{said}{coarse}</p>'
        '<div class="scroll"><table><thead><tr><th>Column</th><th>What differs</th>'
        '<th class="n">PSI</th><th class="n">Distance</th><th class="n">Shift</th>'
        '<th class="n">Missing</th><th class="n">p</th></tr></thead><tbody>'
        + "".join(map(_row, shown))
        + "</tbody></table></div>"
        '<p class="key soft">Share of the rows:<i style="background:var(--old)"></i>before'
        '<i style="background:var(--new)"></i>now</p>'
        f'<div class="grid">{pictures}</div></div>'
    )


def _row(column: ColumnDrift) -> str:
    words = escape(column.words) or '<span class="soft">nothing that matters</span>'
    shift = "" if column.shift is None or column.kind == "times" else f"{column.shift:,.3g}"
    name = escape(column.column)
    return (
        f"<tr><td>{f'<span class=bad>{name}</span>' if column.is_drifted else name}</td>"
        f'<td>{words}</td><td class="n">{column.psi:.3f}</td>'
        f'<td class="n">{column.distance:.3f}</td><td class="n">{shift}</td>'
        f'<td class="n">{column.missing_before:.1%} → {column.missing_now:.1%}</td>'
        f'<td class="n">{_chance(column.p_adjusted)}</td></tr>'
    )


def _chance(p: float) -> str:
    return "&lt; 1e-12" if p < 1e-12 else f"{p:.2g}"  # noqa: PLR2004 - as good as never


def _picture(column: ColumnDrift) -> str:
    most = max([0.01, *(max(each.before, each.now) for each in column.bins)])
    each_width = WIDTH / len(column.bins)
    bars = []
    for index, part in enumerate(column.bins):
        left = index * each_width
        width = max(1.0, (each_width - GAP) / 2)
        for kind, share, at in (("o", part.before, left), ("w", part.now, left + width)):
            tall = HEIGHT * share / most
            bars.append(
                f'<rect class="{kind}" x="{at:.1f}" y="{HEIGHT - tall:.1f}" width="{width:.1f}" '
                f'height="{tall:.1f}"><title>{escape(part.label)}: {share:.1%}</title></rect>'
            )
    spoken = "; ".join(
        f"{part.label}: {part.before:.0%} before, {part.now:.0%} now" for part in column.bins[:12]
    )
    first, last = column.bins[0].label, column.bins[-1].label
    return (
        f"<figure><figcaption>{escape(column.column)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken)}">'
        + "".join(bars)
        + f'</svg><div class="soft" style="display:flex;justify-content:space-between;'
        f'font-size:.8em;gap:1em"><span>{escape(first[:24])}</span>'
        f"<span>{escape(last[:24])}</span></div></figure>"
    )
