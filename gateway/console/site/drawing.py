"""Charts as SVG, drawn on the server: they need no script, and a table beside them says the same.

Invariant: colours come from classes of the style sheet, so that charts follow light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape


def sparkline(values: Sequence[float], label: str, width: int = 120, height: int = 28) -> Markup:
    """A small line, from the oldest value to the newest."""
    if not values:
        return Markup("")
    top, step = max(values) or 1.0, width / max(1, len(values) - 1)
    points = " ".join(
        f"{at * step:.1f},{height - 2 - value / top * (height - 4):.1f}" for at, value in enumerate(values)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        '<polyline points="{points}"/></svg>'
    ).format(w=width, h=height, label=label, points=points)


def bars(rows: Sequence[tuple[str, float]], label: str, width: int = 640) -> Markup:
    """Horizontal bars with their names and values."""
    if not rows:
        return Markup("")
    line, left, right = 26, 230, 64
    top = max(value for _, value in rows) or 1.0
    drawn = Markup("").join(
        Markup(
            '<text class="name" x="{name_x}" y="{y}">{name}</text><rect x="{left}" y="{bar_y}" width="{size:.1f}" '
            'height="16" rx="3"/><text class="value" x="{value_x:.1f}" y="{y}">{value}</text>'
        ).format(
            name_x=left - 8,
            y=at * line + 17,
            name=_short(name),
            left=left,
            bar_y=at * line + 4,
            size=max(1.0, value / top * (width - left - right)),
            value_x=left + max(1.0, value / top * (width - left - right)) + 6,
            value=f"{value:g}",
        )
        for at, (name, value) in enumerate(rows)
    )
    return Markup('<svg class="bars" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{drawn}</svg>').format(
        w=width, h=len(rows) * line + 4, label=escape(label), drawn=drawn
    )


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
