"""`lgsp access who`: who receives a field, or personal data, and by which grant, route or feed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from contracts.base.times import rfc3339
from gateway.cli.access.view import PERSONAL, Personal, registry_at
from gateway.cli.common.options import AsJson, At, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from contracts.codecs.mask import Leaf
    from gateway.registry.changes.matrix import Cell, Dropped, Receipt
    from gateway.registry.snapshot import Snapshot

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
            help="A field at any depth, as `phone`, `staff.*`, `*email*`; of one contract as `field-report:phone`.",
        ),
    ] = None
    personal: Personal = False
    sensitive: Annotated[bool, typer.Option("--sensitive", help="Of sensitive personal fields alone.")] = False

    def fits(self, contract: str, leaf: Leaf | Receipt) -> bool:
        from gateway.registry.changes.receivers import Asked

        return Asked(self.field, self.personal, self.sensitive).fits(contract, leaf)


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
    from gateway.registry.changes.matrix import dropped, matrix, receipts
    from gateway.registry.changes.receivers import csv_text, described

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
    messages = _messages(snapshot, wanted)
    if not messages and wanted.field:
        _unknown(snapshot, wanted.field, as_json)
    cells = list(matrix(snapshot, now))
    rows = [each for each in receipts(snapshot, cells) if wanted.fits(each.contract, each)]
    dead = [each for each in cells if each.dead_route and _request(snapshot, each) in messages]
    files = [each for each in dropped(snapshot) if _request(snapshot, each) in messages]
    if csv:
        print(csv_text(rows), end="")
        raise SystemExit(Exit.WELL)
    result = {
        "ok": True,
        "at": rfc3339(now),
        "receivers": [described(each) for each in rows],
        "unreceived": [
            {"agency": each.agency, "systems": list(each.systems), "contract": each.contract}
            | {"operation": each.operation, "reason": each.decision.reason}
            for each in dead
        ],
        "files": [
            {"agency": each.agency, "system": each.system, "folder": each.folder, "match": each.match}
            | {"contract": each.contract, "operation": each.operation}
            for each in files
        ],
    }
    emit(result, as_json, "\n".join([*_table(rows), *_dead(dead), *_files(files)]) or "nobody / không ai")


def _messages(snapshot: Snapshot, wanted: Wanted) -> set[tuple[str, str]]:
    """The messages, by contract, that have such a field."""
    return {
        (name, message)
        for name, contract in snapshot.contracts.items()
        for message in contract.exchanged
        if any(wanted.fits(name, leaf) for leaf in contract.leaves(message, ("*",)))
    }


def _request(snapshot: Snapshot, each: Cell | Dropped) -> tuple[str, str]:
    return each.contract, snapshot.contracts[each.contract].contract.operations[each.operation].request


def _unknown(snapshot: Snapshot, field: str, as_json: bool) -> None:
    from difflib import get_close_matches

    known = {
        leaf.path.rpartition(".")[2].removesuffix("[]")
        for contract in snapshot.contracts.values()
        for message in contract.exchanged
        for leaf in contract.leaves(message, ("*",))
    }
    near = get_close_matches(field.rpartition(":")[2].rpartition(".")[2], sorted(known), n=3)
    fail(
        Exit.USAGE,
        "unknown-field",
        f"no contract in force has a field {field} / không hợp đồng nào có trường này",
        f"Nearest / Gần nhất: {', '.join(near) or '–'}",
        as_json,
    )


def _table(rows: Sequence[Receipt]) -> Iterable[str]:
    from security.grants.windows import civil

    cells = [
        (
            each.agency,
            ", ".join(each.systems) or "–",
            _HOW[each.way],
            f"{each.contract} {each.operation}",
            f"{each.message}.{each.path}",
            PERSONAL[each.personal] if each.personal is not None else "",
            ", ".join(each.grants),
            f"until / đến {civil(each.until)}",
        )
        for each in rows
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
