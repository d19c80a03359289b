"""A system that only drops files: its table is accepted, bad lines are reported by number, repeats recognised."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from examples.story.exchange import INDICATOR, read_feed
from examples.story.world import Telling, World, check, same

_TITLES: Final = "Mã chỉ tiêu;Mã địa bàn;Kỳ báo cáo;Tần suất;Đơn vị tính;Giá trị;Tình trạng;Ghi chú;Cập nhật"
_GOOD: Final = (
    'KT-11;04;2026-10;T;triệu USD;87,20;2;"Qua các cửa khẩu;\r\nchưa gồm hàng quá cảnh, đợt {}";05/11/2026 09:20'
)
_BAD: Final = "KT-11;01273;2026-10;T;triệu USD;1.250,5;2;;05/11/2026 09:20"


def dropped(world: World) -> str:
    mark = uuid.uuid4().hex
    table = "\ufeff" + "\r\n".join((_TITLES, _GOOD.format(mark), _BAD, ""))
    folder = world.data / "drops" / "so-lieu"
    world.wait("the system's folder", folder.is_dir)
    report = _drop(world, folder, table)
    same(report["result"], "partly-accepted", "the result")
    same(
        [(each["line"], each["column"], each["rule"]) for each in report["findings"]],
        [(4, "Giá trị", "type")],
        "what the report says is wrong",
    )
    event = world.wait("the good line in the feed", lambda: _event(world, report["transfer"]))
    value = event["data"]["values"][0]
    same((value["value"], value["frequency"]), (Decimal("87.20"), "M"), "the value, exact, in the centre's own codes")
    check(mark in value["note"] and "\r\n" in value["note"], "a text with a line break and a semicolon in it")
    again = _drop(world, folder, table)
    same((again["result"], again["first"]), ("repeated", report["transfer"]), "the same file once more")
    return (
        f"a CSV table with decimal commas: one line taken as {report['transfer']}, line 4 told to be wrong; dropped "
        "again it is one"
    )


def _drop(world: World, folder: Path, table: str) -> dict[str, Any]:
    """Write the file aside, then rename it. Returns the report."""
    name = uuid.uuid4().hex
    part = folder / f"{name}.csv.part"
    part.write_bytes(table.encode())
    part.rename(folder / f"{name}.csv")
    report: Path = world.wait(
        "a report beside the file", lambda: next(iter(folder.glob(f"*/{name}.*.report.json")), None)
    )
    result: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return result


def _event(world: World, transfer: str) -> dict[str, Any] | None:
    return next((event for event in read_feed(world, INDICATOR) if event["id"] == transfer), None)


STEPS: tuple[Telling, ...] = (("a table dropped into a folder", dropped),)
