"""`lgsp access who`: who receives a field, or personal data, and by which grant, route or feed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from contracts.base.times import rfc3339
from gateway.cli.access.view import PERSONAL, Personal, registry_at
from gateway.cli.common.options import AsJson, At, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail, say

if TYPE_CHECKING:
    from gateway.registry.changes.matrix import Cell, Dropped
    from gateway.registry.changes.receivers import Receivers

commands = typer.Typer()
_HOW: Final = {
    "answer": "answer / trả lời",
    "request": "receives by route / nhận theo tuyến",
    "feed": "feed / luồng dữ liệu",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Wanted:
    """Which fields are asked about."""

    field: Annotated[
        str | None,
        typer.Option(
            "--field",
            help="A field at any depth by its name or its title in the contract, as `phone`, `điện thoại`, `staff.*`,"
            " `*email*`; of one contract as `field-report:phone`.",
        ),
    ] = None
    personal: Personal = False
    sensitive: Annotated[bool, typer.Option("--sensitive", help="Of sensitive personal fields alone.")] = False


@commands.command("who")
@grouped
def access_who(
    wanted: Wanted,
    csv: Annotated[bool, typer.Option("--csv", help="A table with comma-separated values.")] = False,
    at: At = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Who receives a field, or personal data: agency, systems, by answer, route or feed, which grants, until when."""
    from gateway.registry.changes.called import Asked
    from gateway.registry.changes.receivers import as_json as described
    from gateway.registry.changes.receivers import csv_text, receivers

    load_instance(data, as_json)
    if not (wanted.field or wanted.personal or wanted.sensitive):
        fail(
            Exit.USAGE,
            "usage",
            "no field is named / chưa nêu trường nào",
            "Name one with --field, or ask with --personal. / Nêu trường bằng --field, hoặc hỏi bằng --personal.",
            as_json,
        )
    if csv and as_json:
        what = "--csv and --json are two forms / --csv và --json là hai dạng khác nhau"
        fail(Exit.USAGE, "usage", what, "Choose one of them. / Chỉ chọn một dạng.", as_json)
    snapshot, now = registry_at(data, at, as_json)
    mark = "sensitive" if wanted.sensitive else "personal" if wanted.personal else None
    found = receivers(snapshot, Asked.of(wanted.field, mark), now)
    if not found.fields and wanted.field:
        _unknown(wanted.field, found.near, as_json)
    if csv:
        say(csv_text(found), end="")
        raise SystemExit(Exit.WELL)
    lines = [*_table(found), *_dead(found.dead), *_files(found.files)]
    nobody = f"nobody receives it: {len(found.fields)} such fields in contracts in force / không ai nhận"
    emit({"ok": True, "at": rfc3339(now), **described(found)}, as_json, "\n".join(lines) or nobody)


def _unknown(field: str, near: Sequence[str], as_json: bool) -> None:
    fail(
        Exit.USAGE,
        "unknown-field",
        f"no contract in force has a field {field} / không hợp đồng nào có trường này",
        f"Nearest / Gần nhất: {', '.join(near) or '–'}",
        as_json,
    )


def _table(found: Receivers) -> Iterable[str]:
    from security.grants.windows import civil

    cells = [
        (
            each.agency,
            ", ".join(each.systems) or "–",
            _HOW[each.way],
            f"{each.contract} {each.operation}",
            f"{each.message}.{each.path}" + (f" ({title})" if (title := found.called(each).title) else ""),
            PERSONAL[each.personal] if each.personal is not None else "",
            ", ".join(each.grants),
            f"until / đến {civil(each.until)}",
        )
        for each in found.rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _dead(cells: Iterable[Cell]) -> Iterable[str]:
    for each in cells:
        yield (
            f"{each.agency}  {', '.join(each.systems)}: a route brings {each.contract} {each.operation} here,"
            f" but nobody may receive it / có tuyến tới đây, nhưng không ai được nhận ({each.decision.reason})"
        )


def _files(files: Iterable[Dropped]) -> Iterable[str]:
    for each in files:
        yield (
            f"{each.agency}  {each.system}: hands in {each.contract} {each.operation} as files"
            f" ({each.folder}/{each.match}); the report has no value / nộp bằng tệp, báo cáo không chứa giá trị nào"
        )
