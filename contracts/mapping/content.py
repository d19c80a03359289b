"""`when` of a message: what tells it from another message of the format with the same root element (XML).

`{here: PATH, there: true}` says that the element or attribute is there, `{here: PATH, there: false}` that it is not,
`{here: PATH, is: [A, B]}` that its text is one of these. Invariant: of the messages with one root at most one matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.folder.source_locations import Path
from contracts.mapping.plan import Plan
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.steps import Step, xml_steps

_FORM: Final = "here: one element, attribute or text, without [] or key, and there: true or false, or is: [texts]"


@dataclass(frozen=True, slots=True)
class Content:
    """`values`: the texts that it may have; none of them for presence alone."""

    here: str
    steps: tuple[Step, ...]
    there: bool = True
    values: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        if self.values:
            return f"{self.here} = {' | '.join(self.values)}"
        return self.here if self.there else f"¬ {self.here}"

    def matches(self, element: Any) -> bool:
        """Whether the message below this root element (lxml) is meant."""
        text: str | None = (element.text or "").strip(" \t\r\n")
        for step in self.steps:
            if step.attribute:
                text = element.get(step.name)
            elif not step.text:
                element = element.find(step.name)
                if element is None:
                    return not self.there
                text = (element.text or "").strip(" \t\r\n")
        return text in self.values if self.values else (text is not None) is self.there

    def excludes(self, other: Content) -> bool:
        """Whether no message matches both."""
        if [each.name for each in self.steps] != [each.name for each in other.steps]:
            return False
        if self.there is not other.there:
            return True
        return bool(self.values and other.values) and not set(self.values) & set(other.values)


def read_content(context: TableContext, when: Any, message: str, at: Path) -> Content | None:
    """The `when` of a message. None with a finding where it is out of form."""
    if context.media != "xml":
        expected = "an address for each message, since JSON has no root"
        context.bad(at, message, "a choice by content in another format than XML", "unsupported", expected)
        return None
    steps = _steps(when, context.namespaces)
    fits = steps is not None and set(when) in ({"here", "there"}, {"here", "is"})
    if fits and steps is not None and isinstance(when.get("there"), bool):
        return Content(when["here"], steps, there=when["there"])
    values = when.get("is") if fits else None
    if fits and steps is not None and isinstance(values, list) and values and all(isinstance(v, str) for v in values):
        return Content(when["here"], steps, values=tuple(values))
    context.bad(at, message, "a choice by content out of form", "when", _FORM)
    return None


def _steps(when: Any, namespaces: Mapping[str, str]) -> tuple[Step, ...] | None:
    here = when.get("here") if isinstance(when, dict) else None
    steps = xml_steps(here, namespaces) if isinstance(here, str) else ""
    if isinstance(steps, str) or any(each.many or each.entry or each.key_name is not None for each in steps):
        return None
    return tuple(steps)


def check_choices(context: TableContext, plans: Mapping[str, Plan]) -> None:
    """Findings where two messages with one root may both match.

    Messages of which none says anything are told apart by the signed action, as before.
    """
    for name, plan in plans.items():
        for other, second in plans.items():
            if other <= name or plan.root.name != second.root.name or plan.content is None and second.content is None:
                continue
            if plan.content is None or second.content is None or not plan.content.excludes(second.content):
                expected = "when: one place for both, with texts that differ, or there: true and there: false"
                context.bad(("messages", other), other, f"a message that may be {name} as well", "overlap", expected)
