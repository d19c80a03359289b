"""Charts as SVG, drawn on the server: they need no script, and a table beside them says the same.

Invariant: colours come from classes of the style sheet, so that charts follow light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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


class Tile(NamedTuple):
    """An area of a map. `number`: of what is open there; `late` and `alerts`: how many of them are."""

    name: str
    column: int
    row: int
    number: int
    late: int
    alerts: int

    @property
    def kind(self) -> str:
        return "late" if self.late else "alert" if self.alerts else "open" if self.number else "calm"


def tile_map(tiles: Sequence[Tile], size: tuple[int, int] = (168, 150), gap: int = 10) -> Markup:
    """One tile an area, in its place; signs say what colours say. A table beside it has the same for readers aloud."""
    width, height = size
    drawn = Markup("").join(
        Markup(
            '<g class="{kind}" transform="translate({x} {y})"><rect width="{w}" height="{h}" rx="10"/>{inside}</g>'
        ).format(
            kind=tile.kind,
            x=tile.column * (width + gap),
            y=tile.row * (height + gap),
            w=width,
            h=height,
            inside=_inside(tile, width, height),
        )
        for tile in tiles
    )
    across = max((tile.column + 1 for tile in tiles), default=1) * (width + gap) - gap
    down = max((tile.row + 1 for tile in tiles), default=1) * (height + gap) - gap
    return Markup('<svg class="tiles" viewBox="0 0 {w} {h}" aria-hidden="true">{drawn}</svg>').format(
        w=across, h=down, drawn=drawn
    )


def _inside(tile: Tile, width: int, height: int) -> Markup:
    lines = Markup("").join(
        Markup('<text class="name" x="{x}" y="{y}">{line}</text>').format(x=width // 2, y=36 + 31 * at, line=line)
        for at, line in enumerate(_lines(tile.name))
    )
    sign = f"▲{tile.late}" if tile.late else "!" if tile.alerts else ""
    number, edge = str(tile.number or ""), 14
    return lines + Markup(
        '<text class="value" x="{left}" y="{y}">{number}</text><text class="sign" x="{right}" y="{y}">{sign}</text>'
    ).format(left=edge, right=width - edge, y=height - 18, number=number, sign=sign)


def _lines(name: str, most: int = 8) -> list[str]:
    """A name in two lines. The kind of unit before it is left out: every tile has one."""
    words = name.split()
    if len(words) > 1 and words[0] in ("Xã", "Phường", "Thị"):
        words = words[1:]
    elif len(words) > 1 and words[-1] in ("commune", "ward", "township"):
        words = words[:-1]
    first: list[str] = []
    while words and (not first or len(" ".join([*first, words[0]])) <= most):
        first.append(words.pop(0))
    return [" ".join(each) for each in (first, words) if each]


def columns(points: Sequence[tuple[str, float | None, str]], width: int = 680, height: int = 190) -> Markup:
    """Columns over periods: name, value, and the value in words. A period without a value is an empty frame."""
    if not points:
        return Markup("")
    known = [value for _, value, _ in points if value is not None]
    top, low = max([0.0, *known]), min([0.0, *known])
    span, room, upper = (top - low) or 1.0, height - 50, 22
    step = min(80.0, width / len(points))
    zero = upper + top / span * room
    every = max(1, round(len(points) * 46 / width + 0.49))  # names that find room
    drawn: list[Markup] = []
    for at, (name, value, words) in enumerate(points):
        x, middle = at * step + 3, at * step + step / 2
        size = 0.0 if value is None else abs(value) / span * room
        y = upper if value is None else zero - size if value >= 0 else zero
        drawn.append(
            Markup(
                '<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}">'
                "<title>{t}</title></rect>"
            ).format(
                kind="none" if value is None else "some",
                x=x,
                y=y,
                w=step - 6,
                h=room if value is None else max(1.0, size),
                t=f"{name}: {words or '–'}",
            )
        )
        if at % every == 0:
            above = min(y, zero) - 6 if value is not None else zero - 6
            drawn.append(
                Markup('<text x="{m:.1f}" y="{a:.1f}">{words}</text><text x="{m:.1f}" y="{b}">{name}</text>').format(
                    m=middle, a=above, words=words or "–", b=height - 8, name=name
                )
            )
    return Markup('<svg class="columns" viewBox="0 0 {w} {h}" aria-hidden="true">{line}{drawn}</svg>').format(
        w=width,
        h=height,
        line=Markup('<line x1="0" x2="{w:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>').format(w=step * len(points), y=zero),
        drawn=Markup("").join(drawn),
    )
