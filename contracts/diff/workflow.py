"""Changes of workflow.yaml: states, steps, deadlines, working hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.compiled.workflow_file import FILE
from contracts.diff.changes import Changes, Level, Side
from contracts.diff.sides import Version
from contracts.workflow.model import State, Step, Term, Workflow

_ROUTING: Final = ("operation", "when", "kind", "area", "start", "term")


def compare_workflows(old: Version, new: Version, changes: Changes) -> None:
    """A party that takes a step must be able to take it still; everything else is seen, and breaks nothing."""
    before, after = old.compiled.workflow, new.compiled.workflow
    if before is None or after is None:
        if after is not None:
            changes.add("workflow.added", Level.MINOR, after.operation, new.at(FILE, ()))
        elif before is not None:
            changes.add("workflow.removed", Level.MAJOR, before.operation, old.at(FILE, ()))
        return
    for what in _ROUTING:
        one, other = getattr(before, what), getattr(after, what)
        if one != other:
            level = Level.MAJOR if what == "operation" else Level.MINOR
            _changed(changes, level, what, new.at(FILE, (what,)), _shown(one), _shown(other))
    for name in before.hours.keys() & after.hours.keys():
        if before.hours[name] != after.hours[name]:
            changes.add("workflow.hours-changed", Level.MINOR, name, new.at(FILE, ("hours", name)))
    _states(old, new, before, after, changes)
    _steps(old, new, before, after, changes)


def _states(old: Version, new: Version, before: Workflow, after: Workflow, changes: Changes) -> None:
    for name, state in before.states.items():
        other = after.states.get(name)
        if other is None:
            changes.add("workflow.state-removed", Level.MAJOR, name, old.at(FILE, ("states", name)))
            continue
        for what in ("shown", "term", "pauses", "ends"):
            one, now = getattr(state, what), getattr(other, what)
            if one != now:
                _changed(
                    changes, Level.MINOR, f"{name}.{what}", new.at(FILE, ("states", name)), _shown(one), _shown(now)
                )
    _named(before.states, after.states, new, "state", changes)


def _steps(old: Version, new: Version, before: Workflow, after: Workflow, changes: Changes) -> None:
    for name, step in before.steps.items():
        other = after.steps.get(name)
        if other is None:
            changes.add("workflow.step-removed", Level.MAJOR, name, old.at(FILE, ("steps", name)))
            continue
        at = new.at(FILE, ("steps", name))
        for what, one, now in (("from", step.sources, other.sources), ("by", step.by, other.by)):
            if set(one) != set(now):
                level = Level.MINOR if set(one) < set(now) else Level.MAJOR
                _changed(changes, level, f"{name}.{what}", at, ", ".join(one), ", ".join(now))
        if step.target != other.target:
            _changed(changes, Level.MAJOR, f"{name}.to", at, step.target, other.target)
        if step.reason != other.reason:
            level = Level.MAJOR if other.reason else Level.MINOR
            _changed(changes, level, f"{name}.reason", at, _shown(step.reason), _shown(other.reason))
    _named(before.steps, after.steps, new, "step", changes)


def _named(
    before: Mapping[str, State | Step], after: Mapping[str, State | Step], new: Version, kind: str, changes: Changes
) -> None:
    """What is new, and what has other words."""
    for name, each in after.items():
        at = new.at(FILE, (f"{kind}s", name))
        if name not in before:
            changes.add(f"workflow.{kind}-added", Level.MINOR, name, at)
        elif before[name].title != each.title:
            changes.add("workflow.words-changed", Level.PATCH, name, at)


def _changed(changes: Changes, level: Level, where: str, at: tuple[str, int, Side], before: str, after: str) -> None:
    changes.add("workflow.changed", level, where, at, before=before, after=after)


def _shown(value: object) -> str:
    if isinstance(value, Term):
        return f"{value.minutes} min ({value.hours})"
    if isinstance(value, Mapping):
        return "; ".join(f"{path}: {', '.join(values)}" for path, values in value.items()) or "–"
    return str(value).lower() if isinstance(value, bool) else str(value or "–")
