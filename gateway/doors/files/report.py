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
from contracts.base.times import rfc3339
from contracts.codecs.cells import csvtext
from contracts.codecs.cells.codec import Line, placed
from contracts.mapping.grid import Layout
from contracts.phrases import vietnamese
from contracts.wire import problems
from gateway.transfer.stages import Receipt

MOST: Final = 1_000  # findings in a report; `found` counts all
_LAYOUT: Final = Layout("csv", delimiter=";")
_TITLES: Final = ("Dòng / Line", "Cột / Column", "Lỗi", "Cần", "Có", "Error", "Expected", "Found")
_RESULTS: Final = {
    "accepted": ("đã nhận", "accepted"),
    "partly-accepted": ("đã nhận một phần", "partly accepted"),
    "repeated": (
        "tệp này đã được nhận trước đây, không nhận lại",
        "this very file was taken before and is not taken again",
    ),
}
_MEND: Final = (
    "sửa các dòng nêu dưới đây rồi thả riêng các dòng ấy trong tệp mới",
    "mend the lines named below and drop those alone, in a new file",
)
_RULES: Final = {
    "type": ("sai kiểu giá trị", "wrong kind of value"),
    "required": ("thiếu giá trị bắt buộc", "a required value is missing"),
    "pattern": ("không đúng mẫu", "not of the pattern"),
    "code": ("mã không có trong danh mục", "a code that the table does not have"),
    "range": ("ngoài khoảng cho phép", "out of range"),
    "length": ("sai độ dài", "wrong length"),
    "format": ("sai dạng ngày giờ", "wrong form of date or time"),
    "unknown": ("cột hoặc ô không có trong định dạng", "a column or cell that the format does not have"),
    "repeated": ("lặp lại", "repeated"),
    "constant": ("khác giá trị cố định", "another value than the fixed one"),
    "condition": ("không được có ở đây, theo điều kiện của bảng", "not there in this case, as the table says"),
    "absent": ("lý do vắng mặt không dùng được", "a reason for absence that cannot be used"),
    "refused": ("dòng đúng dạng nhưng không được nhận", "well formed, but not taken"),
    "file": ("không đọc được tệp", "the file cannot be read"),
}


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
            "vi": _RULES.get(finding.rule, (finding.rule, ""))[0],
            "en": _RULES.get(finding.rule, ("", finding.rule))[1],
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
        vi, en = _RULES.get(finding.rule, (finding.rule, finding.rule))
        line = str(number) if number else ""
        rows.append(
            (line, column, vi, vietnamese(finding.expected), vietnamese(finding.got), en, finding.expected, finding.got)
        )
    return csvtext.write([[csvtext.guarded(cell) for cell in row] for row in rows], _LAYOUT)


def _summary(told: Told) -> tuple[str, ...]:
    """What became of the file as a whole, and what to do next; its own line, so that a report of a good file is not an empty one."""
    if told.failure is not None:
        vi, en = (told.failure.next(language) for language in ("vi", "en"))
        if told.failure.code == "message.invalid":
            vi, en = (
                "Sửa các chỗ nêu dưới đây rồi thả lại tệp.",
                "Mend the places named below, then drop the file again.",
            )
        return ("", "", told.failure.what("vi"), vi, "", told.failure.what("en"), en, "")
    vi, en = _RESULTS[told.result]
    if told.first is not None:
        return ("", "", vi, "", "", en, "", "")
    next_vi, next_en = _MEND if told.bad else ("", "")
    counted = (
        f"{vi}: {told.taken} dòng nhận, {len(told.bad)} dòng không nhận",
        f"{en}: {told.taken} lines taken, {len(told.bad)} not taken",
    )
    return ("", "", counted[0], next_vi, "", counted[1], next_en, "")
