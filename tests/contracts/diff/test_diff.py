"""What `differences` names: each kind of change with its code, level, file and line; nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.diff.changes import CODES, Change, Level
from contracts.diff.compare import differences, level_of
from contracts.folder.bundle import Bundle, catalogue_folders

Files = dict[str, str]
Edit = Callable[[Files], None]
INDICATOR = next(folder for folder in catalogue_folders() if folder.parts[-2:] == ("indicator", "v1"))

CONTRACT = """id: so-lieu
version: 1.0.0
title: {vi: Số liệu, en: Figures}
description: {vi: Số liệu, en: Figures}
owner_role: department
legal_basis: [Quyết định 451/QĐ-UBND]
operations:
  getFigure:
    pattern: query
    method: POST
    path: /so-lieu
    request: Question
    answer: Figure
    title: {vi: Hỏi số liệu, en: Ask for a figure}
  putFigure:
    pattern: submit
    method: POST
    path: /nop
    request: Report
    answer: Taken
    title: {vi: Nộp số liệu, en: Hand in a figure}
retention_months: 24
"""
SCHEMA = """{
"$schema": "https://json-schema.org/draft/2020-12/schema",
"$defs": {
"Question": {"type": "object", "additionalProperties": false, "required": ["area"], "properties": {
  "area": {"$ref": "#/$defs/Area"},
  "period": {"type": "string", "minLength": 4, "maxLength": 7},
  "limit": {"type": "integer", "minimum": 1, "maximum": 100}
}},
"Figure": {"type": "object", "additionalProperties": false, "required": ["area", "value", "notes"], "properties": {
  "area": {"$ref": "#/$defs/Area"},
  "value": {"type": "number", "absentable": true},
  "status": {"type": "string", "enum": ["final", "provisional"]},
  "notes": {"type": "array", "maxItems": 5, "items": {"type": "object", "additionalProperties": false, "required": ["text"], "properties": {
    "text": {"type": "string", "pattern": "^[a-z]+$"}
  }}}
}},
"Report": {"type": "object", "additionalProperties": false, "required": ["level"], "properties": {
  "level": {"type": "string", "codes": "level"},
  "day": {"type": "string", "format": "date"}, "rule": {"$ref": "#/$defs/Rule"}
}},
"Taken": {"type": "object", "additionalProperties": false, "properties": {
  "transfer": {"type": "string", "personal": "sensitive"}
}},
"Area": {"type": "string", "codes": "area"},
"Rule": {"oneOf": [{"$ref": "#/$defs/Both"}, {"$ref": "#/$defs/Above"}], "discriminator": {"propertyName": "kind"}},
"Both": {"type": "object", "additionalProperties": false, "required": ["kind", "parts"], "properties": {
  "kind": {"type": "string", "const": "both"},
  "parts": {"type": "array", "items": {"$ref": "#/$defs/Rule"}}
}},
"Above": {"type": "object", "additionalProperties": false, "required": ["kind", "bound"], "properties": {
  "kind": {"type": "string", "enum": ["above", "below"]},
  "bound": {"type": "number"}, "proof": {"type": "string", "contentEncoding": "base64"}
}},
"Within": {"type": "object", "additionalProperties": false, "required": ["kind"], "properties": {
  "kind": {"type": "string", "const": "within"}
}}
}}
"""
HEAD = "code,vi,en,valid_from,valid_until,replaced_by\n"
AREA = HEAD + "04,Tỉnh Cao Bằng,Cao Bang province,,,\n01273,Phường Thục Phán,Thuc Phan ward,2025-07-01,,\n"
LEVEL = HEAD + "cao,Cao,High,,,\nthap,Thấp,Low,,,\nvua,Vừa,Middling,,2026-12-31,thap\n"
OURS = (
    "code,canonical,vi,en,valid_from,valid_until,replaced_by\n1,final,Chính thức,Final,,,\n2,provisional,Sơ "
    "bộ,Provisional,,,\n"
)
TABLE = """format: xml
title: {vi: Sở, en: Department}
namespaces: {s: "urn:so"}
messages:
  Figure:
    root: s:SoLieu
    rows:
      - {canonical: area, here: s:DiaBan}
      - {canonical: value, here: s:GiaTri, absent: {unknown: KR, none: KC, partial: MP, not-permitted: BM}}
      - {canonical: status, here: s:TinhTrang, codes: tinh-trang}
      - {canonical: "notes[].text", here: "s:GhiChu[]"}
    ignores: [s:ChuKy]
"""


def without(path: str) -> Edit:
    def edit(files: Files) -> None:
        del files[path]

    return edit


def base() -> Files:
    return {
        "contract.yaml": CONTRACT,
        "schema.json": SCHEMA,
        "codes/area.csv": AREA,
        "codes/level.csv": LEVEL,
        "codes/tinh-trang.csv": OURS,
        "systems/so.yaml": TABLE,
    }


def changed(edit: Edit) -> list[Change]:
    sides: list[tuple[Bundle, CompiledContract]] = []
    for files in (base(), base()):
        if sides:
            edit(files)
        bundle = Bundle.of({path: text.encode() for path, text in files.items()})
        sides.append((bundle, compile_bundle(bundle)))
    return differences(*sides)


def swap(path: str, old: str, new: str) -> Edit:
    def edit(files: Files) -> None:
        assert files[path].count(old) == 1, (path, old, files[path].count(old))
        files[path] = files[path].replace(old, new)

    return edit


def schema(old: str, new: str) -> Edit:
    return swap("schema.json", old, new)


ROW = "      - {canonical: status, here: s:TinhTrang, codes: tinh-trang}\n"
PERIOD = '"period": {"type": "string", "minLength": 4, "maxLength": 7},'
STATUS = '"status": {"type": "string", "enum": ["final", "provisional"]},'
VALUE_ROW = (
    "      - {canonical: value, here: s:GiaTri, absent: {unknown: KR, none: KC, partial: MP, not-permitted: BM}}\n"
)
B, M, P = Level.MAJOR, Level.MINOR, Level.PATCH


def both(*edits: Edit) -> Edit:
    def edit(files: Files) -> None:
        for each in edits:
            each(files)

    return edit


SEEDED: list[tuple[str, Edit, list[tuple[str, Level, str, str]]]] = [
    ("nothing", lambda files: None, []),
    ("only the version", swap("contract.yaml", "version: 1.0.0", "version: 1.0.1"), []),
    ("a title", swap("contract.yaml", "vi: Hỏi số liệu", "vi: Hỏi một số liệu"), [("file.changed", P, "contract.yaml", "contract.yaml:1")]),
    ("not personal, as before", schema(PERIOD, PERIOD.replace("}", ', "personal": "none"}')), [("file.changed", P, "schema.json", "schema.json:1")]),
    (
        "a field is less personal",
        schema('"personal": "sensitive"', '"personal": "basic"'),
        [("schema.personal-lifted", M, "Taken.transfer", "schema.json:22")],
    ),
    (
        "a field is marked as personal",
        schema(PERIOD, PERIOD.replace("}", ', "personal": "sensitive"}')),
        [("schema.personal-marked", P, "Question.period", "schema.json:6")],
    ),
    (
        "an optional field",
        schema(PERIOD, PERIOD + '\n"unit": {"type": "string"},'),
        [("schema.field-added", M, "Question.unit", "schema.json:7")],
    ),
    (
        "a required field",
        both(schema(PERIOD, PERIOD + '\n"unit": {"type": "string"},'), schema('"required": ["area"]', '"required": ["area", "unit"]')),
        [("schema.required-added", B, "Question.unit", "schema.json:7")],
    ),
    ("a field becomes required", schema('"required": ["area"]', '"required": ["area", "period"]'), [("schema.required-added", B, "Question.period", "schema.json:6")]),
    ("a request asks for less", schema('"required": ["level"], ', ""), [("schema.required-lifted", M, "Report.level", "schema.json:18")]),
    ("an answer holds less for sure", schema('["area", "value", "notes"]', '["value", "notes"]'), [("schema.required-lifted", B, "Figure.area", "schema.json:10")]),
    ("a field is gone", schema("\n  " + PERIOD, ""), [("schema.field-removed", B, "Question.period", "schema.json:6 (old)")]),
    ("a field is renamed", schema('"period"', '"ky"'), [("schema.field-renamed", B, "Question.period", "schema.json:6")]),
    (
        "another order",
        schema('"level": {"type": "string", "codes": "level"},\n  "day": {"type": "string", "format": "date"}', '"day": {"type": "string", "format": "date"},\n  "level": {"type": "string", "codes": "level"}'),
        [("schema.order-changed", B, "Report", "schema.json:17")],
    ),
    ("another type", schema('{"type": "integer", "minimum": 1, "maximum": 100}', '{"type": "string"}'), [("schema.type-changed", B, "Question.limit", "schema.json:7")]),
    ("a number instead of an integer", schema('"type": "integer"', '"type": "number"'), [("schema.type-changed", M, "Question.limit", "schema.json:7")]),
    ("a branch more", schema('{"$ref": "#/$defs/Above"}', '{"$ref": "#/$defs/Above"}, {"$ref": "#/$defs/Within"}'), [("schema.branch-added", M, "Report.rule", "schema.json:25")]),
    ("another branch", schema('{"$ref": "#/$defs/Above"}', '{"$ref": "#/$defs/Within"}'), [("schema.branch-added", M, "Report.rule", "schema.json:25"), ("schema.branch-removed", B, "Report.rule", "schema.json:25 (old)")]),
    ("a branch told by fewer words", schema('["above", "below"]', '["above"]'), [("schema.values-narrowed", B, "Report.rule(above, below).kind", "schema.json:31")]),
    ("a field in a branch", schema('"bound": {"type": "number"},', '"bound": {"type": "number"}, "unit": {"type": "string"},'), [("schema.field-added", M, "Report.rule(above, below).unit", "schema.json:32")]),
    ("text instead of bytes", schema(', "contentEncoding": "base64"', ""), [("schema.format-changed", M, "Report.rule(above, below).proof", "schema.json:32")]),
    ("a format", schema('"format": "date"', '"format": "date-time"'), [("schema.format-changed", B, "Report.day", "schema.json:19")]),
    ("no format", schema(', "format": "date"', ""), [("schema.format-changed", M, "Report.day", "schema.json:19")]),
    ("a pattern", schema("^[a-z]+$", "^[a-z]{1,9}$"), [("schema.pattern-changed", B, "Figure.notes[].text", "schema.json:14")]),
    ("a wider bound in a request", schema('"maximum": 100', '"maximum": 500'), [("schema.bounds-widened", M, "Question.limit", "schema.json:7")]),
    ("a narrower bound", schema('"minimum": 1,', '"minimum": 2,'), [("schema.bounds-narrowed", B, "Question.limit", "schema.json:7")]),
    ("the same bound in other words", schema('"minimum": 1,', '"exclusiveMinimum": 0,'), [("file.changed", P, "schema.json", "schema.json:1")]),
    ("longer text in a request", schema('"maxLength": 7', '"maxLength": 70'), [("schema.bounds-widened", M, "Question.period", "schema.json:6")]),
    ("more items in an answer", schema('"maxItems": 5', '"maxItems": 6'), [("schema.bounds-widened", B, "Figure.notes", "schema.json:13")]),
    ("fewer items in an answer", schema('"maxItems": 5', '"maxItems": 4'), [("schema.bounds-narrowed", B, "Figure.notes", "schema.json:13")]),
    (
        "a value more in an answer",
        both(
            schema('["final", "provisional"]', '["final", "provisional", "missing"]'),
            swap("codes/tinh-trang.csv", "Sơ bộ,Provisional,,,\n", "Sơ bộ,Provisional,,,\n3,missing,Thiếu,Missing,,,\n"),
        ),
        [("code.added", M, "tinh-trang: 3", "codes/tinh-trang.csv:4"), ("schema.values-widened", B, "Figure.status", "schema.json:12")],
    ),
    ("absence allowed in an answer", schema(STATUS, STATUS.replace("]}", '], "absentable": true}')), [("schema.absence-allowed", B, "Figure.status", "schema.json:12")]),
    (
        "absence refused",
        both(schema(', "absentable": true', ""), swap("systems/so.yaml", ", absent: {unknown: KR, none: KC, partial: MP, not-permitted: BM}", "")),
        [("mapping.row-changed", B, "so: Figure.value", "systems/so.yaml:9"), ("schema.absence-refused", B, "Figure.value", "schema.json:11")],
    ),
    ("a code more in a request", swap("codes/level.csv", "thap,", "nhe,Nhẹ,Slight,,,\nthap,"), [("code.added", M, "level: nhe", "codes/level.csv:3")]),
    ("a code more in an answer", swap("codes/area.csv", "01273,", "01290,Phường Nùng Trí Cao,Nung Tri Cao ward,,,\n01273,"), [("code.added", B, "area: 01290", "codes/area.csv:3")]),
    ("a code withdrawn", swap("codes/level.csv", "cao,Cao,High,,,\n", ""), [("code.withdrawn", B, "level: cao", "codes/level.csv:2 (old)")]),
    ("a code that ends", swap("codes/level.csv", "cao,Cao,High,,,", "cao,Cao,High,,2027-01-01,"), [("code.validity-shortened", B, "level: cao", "codes/level.csv:2")]),
    ("a code that begins later", swap("codes/area.csv", "2025-07-01", "2026-07-01"), [("code.validity-shortened", B, "area: 01273", "codes/area.csv:3")]),
    ("a code that begins sooner", swap("codes/area.csv", "2025-07-01", "2025-06-01"), [("code.validity-extended", B, "area: 01273", "codes/area.csv:3")]),
    ("a code that is replaced", swap("codes/level.csv", "cao,Cao,High,,,", "cao,Cao,High,,2027-12-31,thap"), [("code.replaced", M, "level: cao", "codes/level.csv:2")]),
    ("a list opened in a request", schema('"codes": "level"', '"codes": "level", "others": "^[a-z0-9-]+$"'), [("schema.values-widened", M, "Report.level", "schema.json:18")]),
    ("a prefix more", swap("systems/so.yaml", 's: "urn:so"', 's: "urn:so", t: "urn:khac"'), [("format.changed", M, "so", "systems/so.yaml:3")]),
    ("a prefix with another meaning", swap("systems/so.yaml", 's: "urn:so"', 's: "urn:khac"'), [("format.changed", B, "so", "systems/so.yaml:3")]),
    ("an empty text read as nothing", swap("systems/so.yaml", "codes: tinh-trang}", 'codes: tinh-trang, missing: [""]}'), [("mapping.row-changed", M, "so: Figure.status", "systems/so.yaml:10")]),
    ("a successor", swap("codes/level.csv", "2026-12-31,thap", "2026-12-31,cao"), [("code.successor-changed", P, "level: vua", "codes/level.csv:4")]),
    ("the words of a code", swap("codes/level.csv", "cao,Cao,High", "cao,Mức cao,High"), [("code.words-changed", P, "level: cao", "codes/level.csv:2")]),
    (
        "foreign codes that change places",
        both(swap("codes/tinh-trang.csv", "1,final", "9,final"), swap("codes/tinh-trang.csv", "2,provisional", "1,provisional"), swap("codes/tinh-trang.csv", "9,final", "2,final")),
        [("code.meaning-changed", B, "tinh-trang: 1", "codes/tinh-trang.csv:3"), ("code.meaning-changed", B, "tinh-trang: 2", "codes/tinh-trang.csv:2"), ("code.words-changed", P, "tinh-trang: 1", "codes/tinh-trang.csv:3"), ("code.words-changed", P, "tinh-trang: 2", "codes/tinh-trang.csv:2")],
    ),
    ("an operation's address", swap("contract.yaml", "path: /so-lieu", "path: /tra-cuu"), [("operation.changed", B, "getFigure", "contract.yaml:11")]),
    ("an operation that may be repeated", swap("contract.yaml", "    path: /so-lieu\n", "    path: /so-lieu\n    idempotent: true\n"), [("operation.changed", B, "getFigure", "contract.yaml:12")]),
    ("another priority", swap("contract.yaml", "    path: /so-lieu\n", "    path: /so-lieu\n    priority: high\n"), [("operation.changed", M, "getFigure", "contract.yaml:12")]),
    ("an operation more", swap("contract.yaml", "  putFigure:", "  listFigures: {pattern: query, method: POST, path: /tat-ca, request: Question, answer: Figure, " "title: {vi: Tất cả, en: All}}\n  putFigure:"), [("operation.added", M, "listFigures", "contract.yaml:15")]),
    ("an operation less", lambda files: files.update({"contract.yaml": files["contract.yaml"].partition("  putFigure")[0] + "retention_months: 24\n"}), [("operation.removed", B, "putFigure", "contract.yaml:15 (old)")]),
    ("the day that counts for codes", swap("contract.yaml", "retention_months", "codes_at: day\nretention_months"), [("contract.day-changed", B, "codes_at", "contract.yaml:22")]),
    ("shorter retention", swap("contract.yaml", "retention_months: 24", "retention_months: 12"), [("contract.retention-shortened", B, "retention_months", "contract.yaml:22")]),
    ("longer retention", swap("contract.yaml", "retention_months: 24", "retention_months: 60"), [("contract.retention-extended", M, "retention_months", "contract.yaml:22")]),
    ("less is kept", swap("contract.yaml", "retention_months: 24", "retention_months: 24\nevidence: metadata"), [("contract.evidence-changed", B, "evidence", "contract.yaml:23")]),
    ("another protection", swap("contract.yaml", "retention_months: 24", "protection: encrypted\nretention_months: 24"), [("contract.protection-changed", B, "protection", "contract.yaml:22")]),
    ("another owner", swap("contract.yaml", "owner_role: department", "owner_role: commune"), [("contract.owner-changed", M, "owner_role", "contract.yaml:5")]),
    ("a place moves", swap("systems/so.yaml", "here: s:TinhTrang", "here: s:TrangThai"), [("mapping.place-moved", B, "so: Figure.status", "systems/so.yaml:10")]),
    ("a place moves to another namespace", swap("systems/so.yaml", "urn:so", "urn:so:2"), [("format.changed", B, "so", "systems/so.yaml:3")]),
    ("another root", swap("systems/so.yaml", "root: s:SoLieu", "root: s:BaoCao"), [("format.changed", B, "so.messages.Figure", "systems/so.yaml:6")]),
    (
        "a field loses its place",
        both(swap("systems/so.yaml", ROW, ""), swap("systems/so.yaml", "    ignores", "    drops: [status]\n    ignores")),
        [("mapping.drop-added", M, "so: Figure.status", "systems/so.yaml:11"), ("mapping.place-removed", B, "so: Figure.status", "systems/so.yaml:10 (old)")],
    ),
    (
        "a new field has a place, another has none",
        both(
            schema(STATUS, STATUS + '\n"unit": {"type": "string"}, "source": {"type": "string"},'),
            swap("systems/so.yaml", ROW, ROW + "      - {canonical: unit, here: s:DonVi}\n"),
            swap("systems/so.yaml", "    ignores", "    drops: [source]\n    ignores"),
        ),
        [
            ("schema.field-added", M, "Figure.source", "schema.json:13"),
            ("schema.field-added", M, "Figure.unit", "schema.json:13"),
            ("mapping.place-added", M, "so: Figure.unit", "systems/so.yaml:11"),
            ("mapping.drop-added", M, "so: Figure.source", "systems/so.yaml:13"),
        ],
    ),
    ("a text that must stand there", swap("systems/so.yaml", ROW, ROW + '      - {here: "@banMau", constant: "2"}\n'), [("mapping.place-added", B, "so: Figure.@banMau", "systems/so.yaml:11")]),
    ("rows in another order", swap("systems/so.yaml", VALUE_ROW + ROW, ROW + VALUE_ROW), [("mapping.order-changed", B, "so: Figure", "systems/so.yaml:7")]),
    ("a value is written otherwise", swap("systems/so.yaml", "unknown: KR", "unknown: KHONG_RO"), [("mapping.row-changed", B, "so: Figure.value", "systems/so.yaml:9")]),
    ("less is read over", swap("systems/so.yaml", "    ignores: [s:ChuKy]\n", ""), [("mapping.ignore-removed", B, "so: Figure.s:ChuKy", "systems/so.yaml:12 (old)")]),
    ("more is read over", swap("systems/so.yaml", "[s:ChuKy]", "[s:ChuKy, s:DauVet]"), [("mapping.ignore-added", M, "so: Figure.s:DauVet", "systems/so.yaml:12")]),
    ("a table for a message", swap("systems/so.yaml", "    ignores: [s:ChuKy]\n", "    ignores: [s:ChuKy]\n  Taken: {root: s:DaNhan, rows: [{canonical: transfer, here: s:So}]}\n"), [("mapping.message-added", B, "so: Taken", "systems/so.yaml:13")]),
    ("another message has the table", both(lambda files: files.update({"systems/so.yaml": files["systems/so.yaml"].partition("  Figure:")[0] + "  Taken: {root: s:DaNhan, rows: [{canonical: transfer, here: s:So}]}\n"})), [("mapping.message-added", B, "so: Taken", "systems/so.yaml:5"), ("mapping.message-removed", B, "so: Figure", "systems/so.yaml:5 (old)")]),
    ("a list instead of any text", schema('"transfer": {"type": "string",', '"transfer": {"type": "string", "enum": ["a", "b"],'), [("schema.values-narrowed", B, "Taken.transfer", "schema.json:22")]),
    ("a format more", lambda files: files.update({"systems/so-2.yaml": files["systems/so.yaml"]}), [("format.added", M, "so-2", "systems/so-2.yaml:1")]),
    ("a format less", without("systems/so.yaml"), [("format.removed", B, "so", "systems/so.yaml:1 (old)")]),
    ("the address at the system", swap("systems/so.yaml", "messages:", "operations:\n  getFigure: {method: POST, path: /so}\nmessages:"), [("format.changed", B, "so.operations", "systems/so.yaml:5")]),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "expected"), [each[1:] for each in SEEDED], ids=[each[0] for each in SEEDED])
def test_each_change_is_named_with_its_place(edit: Edit, expected: list[tuple[str, Level, str, str]]) -> None:
    found = changed(edit)
    assert sorted((each.code, each.level, each.where, each.place) for each in found) == sorted(expected)
    assert level_of(found) == max((each[1] for each in expected), default=Level.PATCH)
    for each in found:
        for language in ("vi", "en"):
            assert (
                "…" not in each.say(language).replace("…2", "").replace("1…", "") or "validity" in each.code
            )  # every fact of the words is given


def test_the_seeded_changes_cover_the_codes() -> None:
    seeded = {code for _, _, expected in SEEDED for code, *_ in expected}
    assert {code for code in CODES if not code.startswith("workflow.")} == seeded  # those: contracts/workflow


def test_the_gravest_comes_first_and_the_catalogue_does_not_differ_from_itself() -> None:
    bundle = Bundle.from_folder(INDICATOR)
    side = bundle, compile_bundle(bundle)
    assert differences(side, side) == []
    found = changed(
        both(
            swap("codes/level.csv", "cao,Cao", "cao,Mức cao"),
            swap("contract.yaml", "retention_months: 24", "retention_months: 12"),
        )
    )
    assert [each.level for each in found] == [Level.MAJOR, Level.PATCH]
