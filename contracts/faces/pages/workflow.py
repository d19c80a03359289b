"""The section of the documentation page on handling: a drawing of the states, the steps, the deadlines, the hours.

The drawing is SVG without script or style, made from the table alone. Its size is bounded by the numbers of states and
steps that a contract may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from contracts.base.words import Language
from contracts.compiled.contract import CompiledContract
from contracts.faces.pages.words import fill, head, say, table
from contracts.workflow.model import Term, Workflow
from contracts.workflow.working_time import Calendar

_WIDE, _HIGH, _GAP, _ROW = 205, 44, 70, 84  # pixels: a box, and what lies between two of them
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def handling(compiled: CompiledContract, language: Language) -> list[str]:
    """The section; empty for a contract without a workflow."""
    workflow = compiled.workflow
    if workflow is None:
        return []
    facts = {"operation": workflow.operation, "kind": workflow.kind, "area": workflow.area or "–"}
    parts = [f"<h2>{say('handling', language)}</h2>", f"<p>{escape(fill('handling.how', language, facts))}</p>"]
    if workflow.term is not None:
        parts.append(f"<p>{say('handling.whole', language)}: {_term(workflow.term, workflow, language)}</p>")
    states = [
        (
            f"<code>{escape(each.name)}</code>",
            escape(each.title.of(language)),
            escape(each.shown),
            "–" if each.term is None else _term(each.term, workflow, language),
            "; ".join(
                say(word, language)
                for word, so in (("handling.pauses", each.pauses), ("handling.ends", each.ends))
                if so
            ),
        )
        for each in workflow.states.values()
    ]
    steps = [
        (
            f"<code>{escape(each.name)}</code>",
            escape(each.title.of(language)),
            ", ".join(f"<code>{escape(source)}</code>" for source in each.sources),
            f"<code>{escape(each.target)}</code>",
            ", ".join(say(f"party.{party}", language) for party in each.by),
            say("handling.reason", language) if each.reason else "",
        )
        for each in workflow.steps.values()
    ]
    hours = [
        (f"<code>{escape(name)}</code>", escape(each.title.of(language)), _week(each), _days(each, language))
        for name, each in workflow.hours.items()
    ]
    return [
        *parts,
        f'<div class="drawing" tabindex="0">{drawing(workflow, language)}</div>',
        table([*head(("state", "meaning"), language), "Open311", *head(("deadline", "note"), language)], states),
        table([*head(("step", "meaning", "from-state", "to-state", "by", "note"), language)], steps),
        table(head(("hours", "meaning", "week", "free-days"), language), hours),
    ]


def _term(term: Term, workflow: Workflow, language: Language) -> str:
    title = workflow.hours[term.hours].title.of(language)
    return escape(
        fill("handling.term", language, {"minutes": str(term.minutes), "hours": title, "soon": str(term.soon)})
    )


def _week(calendar: Calendar) -> str:
    shown = []
    for day in sorted(calendar.hours):
        periods = ", ".join(f"{_time(opens)}–{_time(closes)}" for opens, closes in calendar.hours[day])
        shown.append(f"{_DAYS[day]} {periods}")
    return "<br>".join(shown)


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(calendar: Calendar, language: Language) -> str:
    if not calendar.holidays:
        return "–"
    facts = {"count": str(len(calendar.holidays)), "last": str(max(calendar.holidays).year)}
    return escape(fill("handling.holidays", language, facts))


# --- the drawing --------------------------------------------------------------------------------------------------


def drawing(workflow: Workflow, language: Language, present: str | None = None) -> str:
    """The states as boxes, by how many steps they are from the first one, and an arrow for each way between two.

    `present` is drawn with a thick frame, instead of the first state.
    """
    places = dict(_places(workflow))
    columns = max(x for x, _ in places.values()) + 1
    rows = max(y for _, y in places.values()) + 1
    width, height = columns * (_WIDE + _GAP), rows * _ROW + 30
    ways = dict.fromkeys((source, step.target) for step in workflow.steps.values() for source in step.sources)
    lines = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(say("handling.drawing", language))}" font-family="system-ui,sans-serif" font-size="13">',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#5b6770"/></marker></defs>',
    ]
    for source, target in ways:
        lines.append(
            f'<path d="{_way(places[source], places[target])}" fill="none" stroke="#5b6770" marker-end="url(#to)"/>'
        )
    for name, (column, row) in places.items():
        state = workflow.states[name]
        x, y = column * (_WIDE + _GAP), row * _ROW + 15
        fill_, dash = ("#e3f1e6" if state.ends else "#eef2f5"), (' stroke-dasharray="5 3"' if state.pauses else "")
        thick = 1.0 if name != (present or workflow.start) else 4 if present else 2.5
        fill_ = "#fff3cd" if name == present else fill_
        lines.append(
            f'<rect x="{x + 1}" y="{y}" width="{_WIDE - 2}" height="{_HIGH}" rx="6" fill="{fill_}" stroke="#33414a" '
            f'stroke-width="{thick}"{dash}/>'
            f'<text x="{x + _WIDE // 2}" y="{y + 27}" text-anchor="middle">{escape(state.title.of(language))}</text>'
        )
    return "\n".join([*lines, "</svg>"])


def _places(workflow: Workflow) -> Iterator[tuple[str, tuple[int, int]]]:
    """Column and row of each state: breadth first from the start, the ends in the last column."""
    distance: Mapping[str, int] = _distances(workflow)
    last = max(distance[name] for name, state in workflow.states.items() if not state.ends)
    filled: dict[int, int] = {}
    for name, state in workflow.states.items():
        column = last + 1 if state.ends else distance[name]
        yield name, (column, filled.get(column, 0))
        filled[column] = filled.get(column, 0) + 1


def _distances(workflow: Workflow) -> dict[str, int]:
    distance, layer = {workflow.start: 0}, [workflow.start]
    while layer:
        found = dict.fromkeys(
            step.target for name in layer for step in workflow.possible(name) if step.target not in distance
        )
        distance |= dict.fromkeys(found, distance[layer[0]] + 1)
        layer = list(found)
    return distance


def _way(source: tuple[int, int], target: tuple[int, int]) -> str:
    """A curve: forward from right side to left side; within a column and back along the bottoms."""
    x, y = source[0] * (_WIDE + _GAP), source[1] * _ROW + 15
    to_x, to_y = target[0] * (_WIDE + _GAP), target[1] * _ROW + 15
    if source == target:
        right = x + _WIDE
        return f"M{right - 40} {y}C{right - 40} {y - 18} {right + 22} {y - 18} {right - 1} {y + 14}"
    if target[0] > source[0]:
        middle = (x + _WIDE + to_x) // 2
        return f"M{x + _WIDE} {y + 22}C{middle} {y + 22} {middle} {to_y + 22} {to_x} {to_y + 22}"
    if target[0] == source[0]:
        right = x + _WIDE
        return f"M{right} {y + 30}C{right + 45} {y + 30} {right + 45} {to_y + 14} {right} {to_y + 14}"
    bottom = max(y, to_y) + _HIGH
    return f"M{x + 30} {y + _HIGH}C{x} {bottom + 34} {to_x + _WIDE} {bottom + 34} {to_x + _WIDE - 30} {to_y + _HIGH}"
