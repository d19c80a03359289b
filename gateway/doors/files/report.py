"""Writes the report of a dropped file: JSON for programs, CSV for spreadsheets.

Lines are numbered as in the file.
Invariant: a report names kinds and rules, never a value of the file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.errors import Failure, Finding
from contracts.base.phrases import vietnamese
from contracts.base.times import rfc3339
from contracts.base.words import Words, WordsFile
from contracts.codecs.cells import csvtext
from contracts.codecs.cells.codec import Line, placed
from contracts.codecs.cells.hidden import Hidden
from contracts.errors import MESSAGE_INVALID
from contracts.mapping.grid import Layout
from contracts.wire import problems
from gateway.transfer.stages import Receipt

MOST: Final = 1_000  # findings in a report; `found` counts all
_SHOWN: Final = 20  # names or numbers in a sentence
_LAYOUT: Final = Layout("csv", delimiter=";")
_TITLES: Final = ("Dòng / Line", "Cột / Column", "Lỗi", "Cần", "Có", "Error", "Expected", "Found")
_words = WordsFile(__file__)


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """`first`: the transfer that took the same file before. `transfers`: those of the lines, if each is a message."""

    file: str
    system: str
    sha256: str
    at: float
    transfer: str
    contract: str = ""
    operation: str = ""
    format: str = ""
    taken: int = 0
    bad: Sequence[Line] = ()
    first: str | None = None
    transfers: Sequence[str] = ()
    failure: Failure | None = None
    receipt: Receipt | None = None
    queued: bool = False
    hidden: Hidden = field(default_factory=Hidden)

    @property
    def result(self) -> str:
        if self.failure is not None:
            return "refused"
        return "repeated" if self.first is not None else "partly-accepted" if self.bad else "accepted"


def reports(outcome: FileOutcome, checkpoint: str) -> dict[str, bytes]:
    """The contents by file name suffix."""
    return {".report.json": _json(outcome, checkpoint), ".report.csv": _csv(outcome)}


def _all_findings(outcome: FileOutcome) -> list[tuple[int, str, Finding]]:
    """Line, title and finding; the file's own findings if no line could be read."""
    findings = [(line.number, finding.here, finding) for line in outcome.bad for finding in line.findings]
    return (
        findings
        if findings or outcome.failure is None
        else [(*placed(finding.here), finding) for finding in outcome.failure.findings]
    )


def _json(outcome: FileOutcome, checkpoint: str) -> bytes:
    findings = _all_findings(outcome)
    document: dict[str, Any] = {
        "result": outcome.result,
        "file": outcome.file,
        "sha256": outcome.sha256,
        "system": outcome.system,
        "at": rfc3339(outcome.at),
        "contract": outcome.contract,
        "operation": outcome.operation,
        "format": outcome.format,
        "transfer": outcome.transfer,
        "lines": {"taken": outcome.taken, "refused": len(outcome.bad)},
    }
    if outcome.first is not None:
        document["first"] = outcome.first
    if outcome.transfers:
        document["transfers"] = list(outcome.transfers)
    if outcome.queued:
        document["state"] = "queued"
    if outcome.failure is not None:
        problem = problems.problem(outcome.failure, transfer=None, language="vi")
        document["problem"] = {name: problem[name] for name in ("code", "messages")}
    if outcome.hidden:
        document["hidden"] = _hidden_json(outcome.hidden)
    document["found"] = len(findings)
    document["findings"] = [
        {
            "line": number,
            "column": column,
            "canonical": finding.canonical,
            "rule": finding.rule,
            "expected": finding.expected,
            "got": finding.got,
            "vi": _rule(finding).vi,
            "en": _rule(finding).en,
        }
        for number, column, finding in findings[:MOST]
    ]
    if outcome.receipt is not None:
        leaves = {
            "intent": outcome.receipt.intent,
            "outcome": outcome.receipt.outcome,
            "refusal": outcome.receipt.refusal,
        }
        document["receipt"] = {
            name: base64.b64encode(leaf).decode("ascii") for name, leaf in leaves.items() if leaf is not None
        }
    if checkpoint:
        document["checkpoint"] = checkpoint
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _csv(outcome: FileOutcome) -> bytes:
    rows: list[tuple[str, ...]] = [_TITLES, _summary(outcome)]
    rows += [("", "", said.vi, "", "", said.en, "", "") for said in _hidden_words(outcome.hidden)]
    for number, column, finding in _all_findings(outcome)[:MOST]:
        rule, expected, got = _rule(finding), finding.expected, finding.got
        line = str(number) if number else ""
        rows.append((line, column, rule.vi, vietnamese(expected), vietnamese(got), rule.en, expected, got))
    return csvtext.write([[csvtext.guarded(cell) for cell in row] for row in rows], _LAYOUT)


def _hidden_json(hidden: Hidden) -> dict[str, Any]:
    """What the workbook hides, as data and in words."""
    said = _hidden_words(hidden)
    return {
        "sheet": hidden.sheet or None,
        "sheets": hidden.sheets,
        "columns": hidden.columns,
        "rows": hidden.rows[:MOST],
        "vi": [each.vi for each in said],
        "en": [each.en for each in said],
    }


def _hidden_words(hidden: Hidden) -> list[Words]:
    """A sentence for each kind of place that the workbook hides."""
    listed = {
        "sheet": [hidden.sheet] if hidden.sheet else [],
        "rows": [str(number) for number in hidden.rows],
        "columns": hidden.columns,
        "sheets": hidden.sheets,
    }
    return [
        _words(f"hidden.{kind}", count=len(each), names=", ".join(each[:_SHOWN]) + ", …" * (len(each) > _SHOWN))
        for kind, each in listed.items()
        if each
    ]


def _rule(finding: Finding) -> Words:
    name = f"rule.{finding.rule}"
    return _words(name) if name in _words else Words(finding.rule, finding.rule)


def _summary(outcome: FileOutcome) -> tuple[str, ...]:
    """The row for the whole file and the next step. A report without findings is then not empty."""
    if outcome.failure is not None:
        after = Words(outcome.failure.next("vi"), outcome.failure.next("en"))
        if outcome.failure.code == MESSAGE_INVALID.code:
            after = _words("mend.places")
        return ("", "", outcome.failure.what("vi"), after.vi, "", outcome.failure.what("en"), after.en, "")
    repeated_lines = outcome.first is not None and outcome.bad
    result = _words("result.lines-repeated" if repeated_lines else f"result.{outcome.result}")
    after = _words("mend.lines") if outcome.bad else Words("", "")
    if outcome.first is not None:
        return ("", "", result.vi, after.vi, "", result.en, after.en, "")
    counted = _words("result.counted", result=result, taken=outcome.taken, refused=len(outcome.bad))
    return ("", "", counted.vi, after.vi, "", counted.en, after.en, "")
