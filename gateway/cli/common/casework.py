"""Handlings and cases as lines for people, from what programs get (`gateway.workflow.showing`, `gateway.cases`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OVERDUE: Final = "  OVERDUE / QUÁ HẠN"
NOTHING: Final = "nothing is in this list / danh sách trống"
Told = Mapping[str, Any]


def handling_line(told: Told) -> str:
    terms = [told[each] for each in ("due", "wholeDue") if each in told]
    due = "–" if told["ended"] or not terms else min(terms)
    what = f"{' '.join(told['kind'])} {' '.join(told['area'])}"
    return f"{told['handling']}  {told['agency']:<10} {told['state']:<20} {due:<21} {what}{_late(told)}"


def handling_lines(told: Told) -> list[str]:
    """One handling: its steps, its deadlines with each stretch that counts or not, and the possible steps."""
    head = [
        f"{told['handling']}  {told['title']['en']} / {told['title']['vi']}",
        f"  {told['agency']} ← {told['sender']}",
    ]
    if told["overdue"]:
        head.append(_OVERDUE)
    steps = []
    for each in told["steps"]:
        by = f"{each['party']} {each.get('agency', '')}".rstrip()
        steps.append(f"  {each['at']}  {each['step']} → {each['to']}  {by}  {each.get('reason', '')}".rstrip())
    terms = []
    for name, each in told["deadlines"].items():
        skipped = sum(one["minutes"] for one in each["stretches"] if not one["counted"])
        terms.append(
            f"  {name}: {each['due'] or 'paused / tạm dừng'}  {each['minutes']} min, {skipped} skipped / bỏ qua"
        )
        terms += [
            f"    {one['from']} – {one['until']}  {one['minutes']:>6}  {one['words']['en']} / {one['words']['vi']}"
            for one in each["stretches"]
        ]
    possible = ", ".join(each["step"] for each in told["possible"]) or "–"
    return [*head, *steps, *terms, f"  possible / có thể: {possible}"]


def case_line(told: Told) -> str:
    state = f"{told['state']}, due {told['due'] or '–'}{_late(told)}"
    parties = f"{told['sender']} → {', '.join(told['receivers'])}"
    return f"{told['id']}  {told['kind']:<12} {parties}  {state}  {told['subject']}"


def case_lines(told: Told) -> list[str]:
    """One case with its steps and texts."""
    lines = [case_line(told)]
    for each in told["steps"]:
        lines.append(f"  {each['at']}  {each['agency']}  {each['act']}")
        if each.get("text"):
            lines.append(f"    {each['text']}")
    return lines


def _late(told: Told) -> str:
    return _OVERDUE if told["overdue"] else ""
