"""What could be read of a contract folder, and a reader of its YAML documents."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from contracts.base.words import Words
from contracts.canonical.model import CodeTable, Contract, RestCall, Sample, Struct
from contracts.folder.source_locations import Findings, Located, Path
from contracts.mapping.cells import CellPlan
from contracts.mapping.grid import Layout
from contracts.mapping.plan import Plan
from contracts.workflow.model import Workflow

IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(slots=True)
class FormatSource:
    """What could be read of one format: mapping plans, REST calls and SOAP actions by name."""

    name: str
    media: Literal["json", "xml", "csv", "xlsx"]
    title: Words
    layout: Layout | None = None  # csv and xlsx only
    cells: dict[str, CellPlan] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    calls: dict[str, RestCall] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Source:
    """What could be read of a bundle. Use it only if `findings` is empty."""

    findings: Findings = field(default_factory=Findings)
    contract: Contract | None = None
    messages: dict[str, Struct] = field(default_factory=dict)
    tables: dict[str, CodeTable] = field(default_factory=dict)
    formats: dict[str, FormatSource] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    workflow: Workflow | None = None


class FieldReader:
    """Typed look-ups in a YAML document; a missing or wrong value is a finding."""

    def __init__(self, document: Located, findings: Findings) -> None:
        self.document, self.findings = document, findings

    def bad(self, path: Path, got: str, expected: str, rule: str = "contract") -> None:
        self.findings.add(self.document.file, self.document.line(path), ".".join(map(str, path)), got, rule, expected)

    def get(self, path: Path) -> Any:
        """The value at a path; None if there is none."""
        value = self.document.value
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return None
            value = value[step]
        return value

    def text(self, path: Path, shape: re.Pattern[str] | None = None, default: str | None = None, says: str = "") -> str:
        """The text at a path; empty, with a finding, if it is missing or does not match `shape`."""
        value = self.get(path)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value or shape is not None and shape.fullmatch(value) is None:
            self.bad(
                path, repr(value)[:60], says or ("a text" if shape is None else f"a text of the shape {shape.pattern}")
            )
            return ""
        return value

    def words(self, path: Path) -> Words:
        return Words(self.text((*path, "vi")), self.text((*path, "en")))

    def only(self, path: Path, known: set[str]) -> None:
        """Reports the keys of the mapping at `path` that are not in `known`."""
        value = self.get(path)
        if not isinstance(value, dict):
            self.bad(path, "not a mapping", "a mapping")
            return
        for word in value:
            if word not in known:
                self.bad((*path, word), f"the word {word}", "one of " + ", ".join(sorted(known)))
