"""Files with an agency's own counts of a day, and the comparison as text: what `lgsp audit reconcile` and `lgsp client
reconcile` share.

Invariant: nothing of the server is loaded here, so that the client's command runs where only the kit is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from contracts.base.errors import Theirs
from contracts.base.visible import visible
from contracts.wire.jsontext import read_json
from gateway.cli.common import arguments
from gateway.cli.common.output import Exit, fail, finding_line

if TYPE_CHECKING:
    from gateway.client.audit.reconciliation import Statement

_COLUMNS: Final = (
    "The columns are system,contract,operation,direction,accepted (or message); see docs/audit-log.md. / "
    "Các cột: system,contract,operation,direction,accepted (hoặc message); xem docs/vi/audit-log.md."
)


def read(file: Path, day: str | None, agency: str | None, as_json: bool) -> Statement:
    """CSV, or the JSON of openapi/audit.yaml; a day and an agency that are named must be those of the file, where that
    names them."""
    from gateway.client.audit.reconciliation import BadStatement, decoded, from_csv, from_json

    try:
        named = None if day is None else date.fromisoformat(day)
    except ValueError:
        fail(
            Exit.USAGE,
            "no-day",
            f"{day} is no day / không phải ngày",
            "Write it as 2026-11-24. / Viết theo dạng 2026-11-24.",
            as_json,
        )
    try:
        text = decoded(arguments.content(file, _COLUMNS, as_json))
        statement = (
            from_json(read_json(text.encode())) if text.lstrip().startswith("{") else from_csv(text, named, agency)
        )
    except BadStatement as bad:
        lines = "".join(f"\n      {finding_line(each)}" for each in bad.findings[:20])
        _unclear(
            file,
            f"{len(bad.findings)} places cannot be read / có {len(bad.findings)} chỗ không đọc được{lines}",
            as_json,
        )
    except Theirs as bad:
        _unclear(file, f"it is no sound JSON / không phải JSON đúng: {bad.what('en')}", as_json)
    if named not in (None, statement.day) or statement.agency not in (None, agency) and agency is not None:
        _unclear(
            file,
            "it is of another agency or day"
            f" / là số liệu của cơ quan hoặc ngày khác: {statement.agency or agency}, {statement.day}",
            as_json,
        )
    return replace(statement, agency=statement.agency or agency)


def _unclear(file: Path, what: str, as_json: bool) -> NoReturn:
    fail(Exit.USAGE, "reconciliation.invalid", f"{file}: {what}", _COLUMNS, as_json)


def text_of(comparison: Mapping[str, Any]) -> str:
    """A comparison for people: each line that is not equal, with what is known of it."""
    lines = [
        f"{comparison['agency']}, {comparison['day']}: {len(comparison['lines'])} lines compared,"
        f" {comparison['differences']} differ"
        f" / so {len(comparison['lines'])} dòng, lệch {comparison['differences']}"
    ]
    for each in comparison["lines"]:
        what = f"{each['system']} {each['contract']} {each['operation']} {each['direction']}"
        lines.append(
            f"{each['verdict']:<9} {what}: theirs {each['theirs']}, ours {each['ours']}"
            f" / cơ quan {each['theirs']}, cổng {each['ours']}"
        )
        if each["verdict"] != "equal":
            lines += [
                f"    not here / cổng trao đổi dữ liệu không có: {one.get('message') or one.get('transfer')}:"
                f" {one['reason']}"
                for one in each["not_here"]
            ]
            lines += [
                f"    not in the list / không có trong bảng: {one['message'] or '–'}, transfer {one['transfer']}"
                for one in each["not_there"]
            ]
            for name in ("waiting", "given_up", "in_doubt", "failed", "over_midnight"):
                lines += [f"    {name.replace('_', ' ')}: transfer {transfer}" for transfer in each[name]]
        lines += [f"    refused / bị từ chối: {number} × {code}" for code, number in each["refused"].items()]
    return "\n".join(map(visible, [*lines, *comparison.get("notes", ())]))
