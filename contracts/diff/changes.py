"""One change between two versions of a contract: a stable code, words in both languages, file and line, and the step of the version that it asks for.

The levels are those of Semantic Versioning 2.0.0, read for data that is exchanged:
- MAJOR, breaking: something that was accepted is refused, or somebody is sent what the old version does not allow;
- MINOR: something more can be said, and whoever knows only the old version can go on with it;
- PATCH: nothing that is exchanged is different (words, samples).
Invariant: a code never changes its meaning, and every code has its words here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Literal

from contracts.base.errors import Language, Words

Side = Literal["old", "new"]


class Level(IntEnum):
    PATCH = 0
    MINOR = 1
    MAJOR = 2


_BETWEEN_VI: Final = " ({direction_vi}): trước {before}, nay {after}"
_BETWEEN_EN: Final = " ({direction_en}): was {before}, is {after}"

CODES: Final[Mapping[str, Words]] = {
    "schema.field-added": Words("Thêm trường {where}, không bắt buộc", "The field {where} is added, and optional"),
    "schema.field-removed": Words("Bỏ trường {where}", "The field {where} is removed"),
    "schema.field-renamed": Words("Đổi tên trường {where} thành {after}", "The field {where} is renamed to {after}"),
    "schema.required-added": Words("Trường {where} nay bắt buộc ({direction_vi})", "The field {where} is required now ({direction_en})"),
    "schema.required-lifted": Words(
        "Trường {where} không còn bắt buộc ({direction_vi})", "The field {where} is no longer required ({direction_en})"
    ),
    "schema.absence-allowed": Words(
        "Trường {where} nay có thể vắng kèm lý do ({direction_vi})", "The field {where} may be absent with a reason now ({direction_en})"
    ),
    "schema.absence-refused": Words(
        "Trường {where} không còn được vắng kèm lý do ({direction_vi})",
        "The field {where} may no longer be absent with a reason ({direction_en})",
    ),
    "schema.order-changed": Words(
        "Đổi thứ tự các trường của {where}, tức thứ tự phần tử XML", "The fields of {where}, and so the elements of its XML, stand in another order"
    ),
    "schema.branch-added": Words("{where} có thêm dạng {what}", "{where} can be {what}, too"),
    "schema.branch-removed": Words("{where} không còn dạng {what}", "{where} can no longer be {what}"),
    "schema.type-changed": Words("Kiểu của {where} thay đổi" + _BETWEEN_VI, "The type of {where} changed" + _BETWEEN_EN),
    "schema.format-changed": Words("Định dạng của {where} thay đổi" + _BETWEEN_VI, "The format of {where} changed" + _BETWEEN_EN),
    "schema.pattern-changed": Words("Mẫu của {where} thay đổi" + _BETWEEN_VI, "The pattern of {where} changed" + _BETWEEN_EN),
    "schema.values-narrowed": Words("{where} nhận ít giá trị hơn" + _BETWEEN_VI, "{where} takes fewer values" + _BETWEEN_EN),
    "schema.values-widened": Words("{where} có thêm giá trị" + _BETWEEN_VI, "{where} takes more values" + _BETWEEN_EN),
    "schema.bounds-narrowed": Words("Giới hạn {what} của {where} hẹp lại" + _BETWEEN_VI, "The bound {what} of {where} is narrower" + _BETWEEN_EN),
    "schema.bounds-widened": Words("Giới hạn {what} của {where} rộng ra" + _BETWEEN_VI, "The bound {what} of {where} is wider" + _BETWEEN_EN),
    "code.withdrawn": Words("Bảng mã {table} bỏ mã {what}", "The code table {table} no longer has the code {what}"),
    "code.added": Words("Bảng mã {table} thêm mã {what} ({used_vi})", "The code table {table} has a new code {what} ({used_en})"),
    "code.meaning-changed": Words(
        "Mã {what} của bảng {table} nay chỉ giá trị {after}, trước là {before}", "The code {what} of {table} stands for {after} now, for {before} before"
    ),
    "code.validity-shortened": Words(
        "Thời gian hiệu lực của mã {what} (bảng {table}) ngắn lại: trước {before}, nay {after}",
        "The code {what} of {table} is valid for a shorter time: was {before}, is {after}",
    ),
    "code.validity-extended": Words(
        "Thời gian hiệu lực của mã {what} (bảng {table}) dài ra: trước {before}, nay {after}",
        "The code {what} of {table} is valid for a longer time: was {before}, is {after}",
    ),
    "code.replaced": Words(
        "Mã {what} (bảng {table}) hết hiệu lực sau ngày {after}, thay bằng {successor}",
        "The code {what} of {table} is valid until {after}, then replaced by {successor}",
    ),
    "code.successor-changed": Words(
        "Mã thay thế của {what} (bảng {table}): trước {before}, nay {after}", "The successor of the code {what} of {table}: was {before}, is {after}"
    ),
    "code.words-changed": Words("Tên của mã {what} (bảng {table}) thay đổi", "The words of the code {what} of {table} changed"),
    "operation.added": Words("Thêm thao tác {where}", "The operation {where} is added"),
    "operation.removed": Words("Bỏ thao tác {where}", "The operation {where} is removed"),
    "operation.changed": Words(
        "Thao tác {where}: {what} trước là {before}, nay là {after}", "The operation {where}: its {what} was {before}, is {after}"
    ),
    "contract.protection-changed": Words("Mức bảo vệ: trước {before}, nay {after}", "The protection was {before}, is {after}"),
    "contract.retention-shortened": Words(
        "Thời hạn lưu giữ ngắn lại: trước {before} tháng, nay {after} tháng", "What is exchanged is kept {after} months, {before} before"
    ),
    "contract.retention-extended": Words(
        "Thời hạn lưu giữ dài ra: trước {before} tháng, nay {after} tháng", "What is exchanged is kept {after} months, {before} before"
    ),
    "contract.evidence-changed": Words(
        "Bằng chứng được lưu: trước {before}, nay {after}", "What is kept of bodies was {before}, is {after}"
    ),
    "contract.day-changed": Words(
        "Ngày để xét hiệu lực của mã: trước {before}, nay {after}", "The day on which codes have to be valid was {before}, is {after}"
    ),
    "contract.owner-changed": Words(
        "Vai trò chủ quản: trước {before}, nay {after}", "The owner's role was {before}, is {after}"
    ),
    "format.added": Words("Thêm dạng dữ liệu {where}", "The format {where} is added"),
    "format.removed": Words("Bỏ dạng dữ liệu {where}", "The format {where} is removed"),
    "format.changed": Words(
        "Dạng {where}: {what} trước là {before}, nay là {after}", "The format {where}: its {what} was {before}, is {after}"
    ),
    "mapping.message-added": Words("Dạng này nay có bảng riêng cho bản tin {where}", "The format has a table of its own for {where} now"),
    "mapping.message-removed": Words(
        "Dạng này không còn bảng riêng cho bản tin {where}", "The format no longer has a table of its own for {where}"
    ),
    "mapping.place-added": Words("{where} nay có chỗ trong dạng này: {after}", "{where} has a place in the format now: {after}"),
    "mapping.place-removed": Words("{where} không còn chỗ trong dạng này (trước: {before})", "{where} no longer has a place in the format (was {before})"),
    "mapping.place-moved": Words("{where} chuyển chỗ trong dạng này: trước {before}, nay {after}", "{where} moved in the format: was {before}, is {after}"),
    "mapping.row-changed": Words("{where} được dịch cách khác: trước {before}, nay {after}", "{where} is translated otherwise: was {before}, is {after}"),
    "mapping.order-changed": Words("Thứ tự các dòng của {where}, tức thứ tự phần tử XML, thay đổi", "The rows of {where}, and so its elements, stand in another order"),
    "mapping.drop-added": Words("Dạng này bỏ qua trường {where}", "The format has no place for the field {where}"),
    "mapping.ignore-added": Words("Dạng này nay đọc lướt qua {where}", "The format reads over {where} now"),
    "mapping.ignore-removed": Words("Dạng này không còn đọc lướt qua {where}", "The format no longer reads over {where}"),
    "file.changed": Words("Tệp {where} thay đổi, không đổi gì trong dữ liệu trao đổi", "The file {where} changed; nothing that is exchanged did"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """`where` is what changed (a canonical path, an operation, a file); `file` and `line` say where that stands, in the version of `side`."""

    code: str
    level: Level
    where: str
    file: str
    line: int
    side: Side
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def breaking(self) -> bool:
        return self.level is Level.MAJOR

    def say(self, language: Language) -> str:
        return CODES[self.code].say(language, {**self.facts, "where": self.where})

    @property
    def place(self) -> str:
        """File and line, and which version's, where it is the old one."""
        return f"{self.file}:{self.line}" + (" (old)" if self.side == "old" else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "level": self.level.name.lower(),
            "breaking": self.breaking,
            "where": self.where,
            "file": self.file,
            "line": self.line,
            "side": self.side,
            "facts": dict(self.facts),
            "words": {"vi": self.say("vi"), "en": self.say("en")},
        }


@dataclass(slots=True)
class Changes:
    """Collects; what is found twice, as where two operations share a type, is kept once, at the higher level."""

    found: dict[tuple[str, str, str, int, Side], Change] = field(default_factory=dict)

    def add(self, code: str, level: Level, where: str, at: tuple[str, int, Side], **facts: object) -> None:
        made = Change(code, level, where, *at, {name: str(value) for name, value in facts.items()})
        known = self.found.get((code, where, *at))
        if known is None or known.level < level:
            self.found[(code, where, *at)] = made
