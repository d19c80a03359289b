"""What became of a dropped file, told in two files beside it: JSON for programs, CSV for whoever opens it in a spreadsheet.

Lines are numbered as the sender counts them in the file. A report names kinds and rules, never a value of the file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.base.errors import Failure, Finding
from contracts.base.phrases import vietnamese
from contracts.base.times import rfc3339
from contracts.base.words import Words, WordsFile
from contracts.codecs.cells import csvtext
from contracts.codecs.cells.codec import Line, placed
from contracts.errors import MESSAGE_INVALID
from contracts.mapping.grid import Layout
from contracts.wire import problems
from gateway.transfer.stages import Receipt

MOST: Final = 1_000  # findings in a report; `found` counts all
_LAYOUT: Final = Layout("csv", delimiter=";")
_TITLES: Final = ("Dòng / Line", "Cột / Column", "Lỗi", "Cần", "Có", "Error", "Expected", "Found")
_words = WordsFile(__file__)


@dataclass(frozen=True, slots=True)
class Told:
    """All that a report says. `first` is the transfer that took the same file before; `transfers` those of the lines, where each has its own."""

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

    @property
    def result(self) -> str:
        if self.failure is not None:
            return "refused"
        return "repeated" if self.first is not None else "partly-accepted" if self.bad else "accepted"


def reports(told: Told, checkpoint: str) -> dict[str, bytes]:
    """By the ending that their names get."""
    return {".report.json": _json(told, checkpoint), ".report.csv": _csv(told)}


def _findings(told: Told) -> list[tuple[int, str, Finding]]:
    """Line, title and finding; of the file as a whole where no line could be read."""
    found = [(line.number, finding.here, finding) for line in told.bad for finding in line.findings]
    return (
        found
        if found or told.failure is None
        else [(*placed(finding.here), finding) for finding in told.failure.findings]
    )


def _json(told: Told, checkpoint: str) -> bytes:
    found = _findings(told)
    document: dict[str, Any] = {
        "result": told.result,
        "file": told.file,
        "sha256": told.sha256,
        "system": told.system,
        "at": rfc3339(told.at),
        "contract": told.contract,
        "operation": told.operation,
        "format": told.format,
        "transfer": told.transfer,
        "lines": {"taken": told.taken, "refused": len(told.bad)},
    }
    if told.first is not None:
        document["first"] = told.first
    if told.transfers:
        document["transfers"] = list(told.transfers)
    if told.queued:
        document["state"] = "queued"
    if told.failure is not None:
        problem = problems.problem(told.failure, transfer=None, language="vi")
        document["problem"] = {name: problem[name] for name in ("code", "messages")}
    document["found"] = len(found)
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
        for number, column, finding in found[:MOST]
    ]
    if told.receipt is not None:
        leaves = {"intent": told.receipt.intent, "outcome": told.receipt.outcome, "refusal": told.receipt.refusal}
        document["receipt"] = {
            name: base64.b64encode(leaf).decode("ascii") for name, leaf in leaves.items() if leaf is not None
        }
    if checkpoint:
        document["checkpoint"] = checkpoint
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _csv(told: Told) -> bytes:
    rows: list[tuple[str, ...]] = [_TITLES, _summary(told)]
    for number, column, finding in _findings(told)[:MOST]:
        rule, expected, got = _rule(finding), finding.expected, finding.got
        line = str(number) if number else ""
        rows.append((line, column, rule.vi, vietnamese(expected), vietnamese(got), rule.en, expected, got))
    return csvtext.write([[csvtext.guarded(cell) for cell in row] for row in rows], _LAYOUT)


def _rule(finding: Finding) -> Words:
    name = f"rule.{finding.rule}"
    return _words(name) if name in _words else Words(finding.rule, finding.rule)


def _summary(told: Told) -> tuple[str, ...]:
    """What became of the file as a whole, and what to do next; its own line, so that a report of a good file is not an empty one."""
    if told.failure is not None:
        after = Words(told.failure.next("vi"), told.failure.next("en"))
        if told.failure.code == MESSAGE_INVALID.code:
            after = _words("mend.places")
        return ("", "", told.failure.what("vi"), after.vi, "", told.failure.what("en"), after.en, "")
    result = _words(f"result.{told.result}")
    if told.first is not None:
        return ("", "", result.vi, "", "", result.en, "", "")
    after = _words("mend.lines") if told.bad else Words("", "")
    counted = _words("result.counted", result=result, taken=told.taken, refused=len(told.bad))
    return ("", "", counted.vi, after.vi, "", counted.en, after.en, "")
