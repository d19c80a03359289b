"""`also` of a message: the other names by which an element may come, for systems that write what nobody declared (XML).

`also: {ed:Header/ed:MessageHeader: ed:Status}`: where there is no `ed:Header/ed:Status`, `ed:Header/ed:MessageHeader`
is read as it. Invariant: what is written has the declared name alone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.folder.source_locations import Path
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.steps import Step, xml_steps

_FORM: Final = "in XML: the path of one element, and the name that rows know it by"


@dataclass(frozen=True, slots=True)
class OtherName:
    above: tuple[str, ...]
    name: str
    known: str

    def read(self, root: Any) -> Any:
        """The root element with the name that rows know; itself where nothing came by the other one."""
        if self._found(root) is None:
            return root
        renamed = copy.deepcopy(root)
        self._found(renamed).tag = self.known
        return renamed

    def _found(self, element: Any) -> Any:
        for name in self.above:
            element = element.find(name)
            if element is None:
                return None
        return element.find(self.name) if element.find(self.known) is None else None


def read_other_names(context: TableContext, also: Any, at: Path) -> tuple[OtherName, ...]:
    if not isinstance(also, dict) or context.media != "xml":
        context.bad(at, "", "another name out of form", "table", _FORM)
        return ()
    names = []
    for here, known in also.items():
        steps, last = _elements(here, context.namespaces), _elements(known, context.namespaces)
        if not steps or not last or len(last) != 1:
            context.bad((*at, str(here)), str(here), "another name out of form", "table", _FORM)
            continue
        names.append(OtherName(tuple(each.name for each in steps[:-1]), steps[-1].name, last[0].name))
    return tuple(names)


def _elements(here: Any, namespaces: Mapping[str, str]) -> list[Step] | None:
    steps = xml_steps(here, namespaces) if isinstance(here, str) else ""
    if isinstance(steps, str) or any(
        s.attribute or s.text or s.many or s.entry or s.key_name is not None for s in steps
    ):
        return None
    return list(steps)
