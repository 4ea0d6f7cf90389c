"""A bar chart as SVG, in the style of ``bench/src/chart.rs``."""

from __future__ import annotations

from html import escape

WIDTH, LABEL, ROW, TOP = 760, 250, 26, 40

# Readable on light and on dark ground.
STYLE = """\
.ground { fill: #fff } text { fill: #222 } .ours { fill: #2166ac } .others { fill: #999 }
@media (prefers-color-scheme: dark) {
.ground { fill: #16181c } text { fill: #ccc } .ours { fill: #5aa2e0 } .others { fill: #777 } }"""


def bars(title: str, rows: list[tuple[str, float]]) -> str:
    """One bar for each row, those of this package in another colour."""
    height = TOP + ROW * len(rows) + 10
    most = max(value for _, value in rows)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        f'<text x="10" y="24" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(rows):
        y = TOP + ROW * number
        width = (WIDTH - LABEL - 80) * value / most
        owner = "ours" if name.startswith("everstream") else "others"
        out += [
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{owner}" x="{LABEL}" y="{y + 2}" width="{width:.1f}" '
            f'height="{ROW - 8}"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{y + 15}">{value:,.0f}</text>',
        ]
    return "\n".join([*out, "</svg>"]) + "\n"
