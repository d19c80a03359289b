"""Draws charts as SVG with attributes alone, so that pages, typst and any viewer show the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final, Literal, NamedTuple

from markupsafe import Markup

COLOURS: Final = ("#1f4e79", "#d08a1d", "#a8322d")
FONT: Final = "Libertinus Serif, Times New Roman, serif"
WIDTH: Final = 680
_LEFT, _TOP, _HIGH = 56, 30, 150  # of columns
_LABEL, _LINE = 250, 22  # of lines
_LETTERS: Final = 40
_INK, _GRID = "#222222", "#cccccc"


class Line(NamedTuple):
    """One series: its name and a value for each label."""

    name: str
    values: Sequence[int]


Said = Callable[[int], str]


def drawn(form: Literal["days", "bars"], title: str, labels: Sequence[str], lines: Sequence[Line], said: Said) -> str:
    return _days(title, labels, lines, said) if form == "days" else _bars(title, labels, lines, said)


def _days(title: str, labels: Sequence[str], lines: Sequence[Line], said: Said) -> str:
    """Columns, the series one above the other."""
    step = (WIDTH - _LEFT - 8) / max(1, len(labels))
    sums = [sum(line.values[at] for line in lines) for at in range(len(labels))]
    top, parts = _round(max([*sums, 1])), _legend(lines)
    for share in (0, 1, 2, 3, 4):
        y = _TOP + _HIGH - _HIGH * share / 4
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}" stroke-width="0.6"/>')
        parts.append(_text(_LEFT - 6, y + 4, said(top * share // 4), "end"))
    for at in range(len(labels)):
        base, x = float(_TOP + _HIGH), _LEFT + at * step
        for number, line in enumerate(lines):
            high = _HIGH * line.values[at] / top
            base -= high
            if high:
                parts.append(_rect(x + step * 0.12, base, step * 0.76, high, COLOURS[number % len(COLOURS)]))
        if at % max(1, -(-len(labels) // 16)) == 0:
            parts.append(_text(x + step / 2, _TOP + _HIGH + 16, labels[at], "middle"))
    return _svg(_TOP + _HIGH + 24, title, parts)


def _bars(title: str, labels: Sequence[str], lines: Sequence[Line], said: Said) -> str:
    """A group of lines for each label."""
    top = max([*(value for line in lines for value in line.values), 1])
    parts, y = _legend(lines), float(_TOP)
    high = _LINE / max(1, len(lines)) if len(lines) > 1 else _LINE * 0.7
    for at, label in enumerate(labels):
        middle = y + high * len(lines) / 2 + 4
        parts.append(_text(_LABEL - 8, middle, label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…", "end"))
        for number, line in enumerate(lines):
            width = (WIDTH - _LABEL - 64) * line.values[at] / top
            parts.append(_rect(_LABEL, y, max(width, 0.8), high - 1, COLOURS[number % len(COLOURS)]))
            parts.append(_text(_LABEL + width + 5, y + high / 2 + 4, said(line.values[at]), "start"))
            y += high
        y += _LINE * 0.4
    parts.append(f'<line x1="{_LABEL}" x2="{_LABEL}" y1="{_TOP - 4}" y2="{y:.1f}" stroke="{_INK}" stroke-width="0.8"/>')
    return _svg(y + 6, title, parts)


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, x = list[str](), 0.0 if len(lines) == 1 else float(_LEFT)
    for number, line in enumerate(lines):
        parts.append(_rect(x, 4, 11, 11, COLOURS[number % len(COLOURS)]))
        parts.append(_text(x + 16, 14, line.name, "start"))
        x += 40 + 6.4 * len(line.name)
    return parts


def _round(value: int) -> int:
    """The next of 4, 8, 20, 40, 80, 200, …: a quarter of it is a whole number."""
    scale = 1
    while value > 20 * scale:
        scale *= 10
    return next(lead * scale for lead in (4, 8, 20) if lead * scale >= value)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704  every text in it is escaped
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}" font-family="{FONT}" font-size="13" fill="{_INK}">{"".join(parts)}</svg>'
    )
