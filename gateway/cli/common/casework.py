"""Handlings and cases as lines for people, from what programs get (`gateway.workflow.showing`, `gateway.cases`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.common.language import either

Told = Mapping[str, Any]


def listed(lines: Iterable[str]) -> str:
    """The lines, or that there are none."""
    return "\n".join(lines) or either("nothing is in this list", "danh sách trống")


def handling_line(told: Told) -> str:
    terms = [told[each] for each in ("due", "wholeDue") if each in told]
    due = "–" if told["ended"] or not terms else _civil(min(terms))
    what = f"{' '.join(told['kind'])} {' '.join(told['area'])}"
    line = f"{told['handling']}  {told['agency']:<10} {told['state']:<20} {due:<21} {what}{_late(told)}"
    return "\n".join([line, *_step_lines(told.get("steps", ()))])


def handling_lines(told: Told) -> list[str]:
    """One handling: its steps, its deadlines with each stretch that counts or not, and the possible steps."""
    head = [
        f"{told['handling']}  {either(told['title']['en'], told['title']['vi'])}",
        f"  {told['agency']} ← {told['sender']}",
    ]
    if told["overdue"]:
        head.append(_late(told))
    steps = _step_lines(told["steps"])
    terms = []
    for name, each in told["deadlines"].items():
        skipped = sum(one["minutes"] for one in each["stretches"] if not one["counted"])
        due = _civil(each["due"]) if each["due"] else either("paused", "tạm dừng")
        of = f"{each['minutes']} {either('min', 'phút')}, {skipped} {either('skipped', 'bỏ qua')}"
        terms.append(f"  {name}: {due}  {of}")
        terms += [
            f"    {_civil(one['from'])} – {_civil(one['until'])}  {one['minutes']:>6}"
            f"  {either(one['words']['en'], one['words']['vi'])}"
            for one in each["stretches"]
        ]
    possible = ", ".join(each["step"] for each in told["possible"]) or "–"
    return [*head, *steps, *terms, f"  {either('possible', 'có thể')}: {possible}"]


def _step_lines(steps: Iterable[Told]) -> list[str]:
    lines = []
    for each in steps:
        by = f"{each['party']} {each.get('agency', '')}".rstrip()
        lines.append(f"  {_civil(each['at'])}  {each['step']} → {each['to']}  {by}  {each.get('reason', '')}".rstrip())
    return lines


def case_line(told: Told) -> str:
    state = f"{told['state']}, {either('due', 'thời hạn')} {_civil(told['due']) if told['due'] else '–'}{_late(told)}"
    parties = f"{told['sender']} → {', '.join(told['receivers'])}"
    return f"{told['id']}  {told['kind']:<12} {parties}  {state}  {told['subject']}"


def case_lines(told: Told) -> list[str]:
    """One case with its steps and texts."""
    lines = [case_line(told)]
    for each in told["steps"]:
        lines.append(f"  {_civil(each['at'])}  {each['agency']}  {each['act']}")
        if each.get("text"):
            lines.append(f"    {each['text']}")
    return lines


def _late(told: Told) -> str:
    return f"  {either('OVERDUE', 'QUÁ HẠN')}" if told["overdue"] else ""


def _civil(at: str) -> str:
    from security.grants.windows import civil

    return civil(at)
