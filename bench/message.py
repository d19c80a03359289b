"""The bench's message: a field report with twenty readings, about 1 KB, with a number of its own.

Invariant: the number is sent as `account_id` and returns in `service_request_id`. An answer with another is wrong.
"""

from __future__ import annotations

import json
from typing import Any, Final

NAMESPACE: Final = "urn:caobang:so-xay-dung:do-thi:1"
READINGS: Final = 20
_KINDS: Final = ("do-sau-cm", "do-rong-cm", "muc-nuoc-mm", "do-am-pct")
_BASE: Final[dict[str, Any]] = {
    "service_code": "duong-sa",
    "area": "01273",
    "lat": 22.6659,
    "long": 106.2579,
    "address_string": "25 phố Kim Đồng, phường Thục Phán",
    "phone": "0912 000 417",
    "description": "Ổ gà lớn trước số nhà 25 phố Kim Đồng, xe máy đã ngã hai lần trong tuần.",
    "attribute": [{"code": f"{_KINDS[n % 4]}.{n:02}", "value": f"{n * 7919 % 1000 / 10:.1f}"} for n in range(READINGS)],
}


def mark(number: int) -> str:
    return f"bench-{number:08}"


def request(number: int) -> bytes:
    return json.dumps(_BASE | {"account_id": mark(number)}, ensure_ascii=False, separators=(",", ":")).encode()


def answer_xml(marked: str) -> str:
    """The provider's answer, canonical bytes (exclusive C14N) in its own format."""
    return (
        f'<dt:KetQuaTiepNhan xmlns:dt="{NAMESPACE}"><dt:MaHoSo>SXD-{marked}</dt:MaHoSo><dt:TrangThai>01</dt:TrangThai>'
        "<dt:ThongBao>Đã tiếp nhận, tổ duy tu sẽ kiểm tra hiện trường trong hai ngày làm việc.</dt:ThongBao>"
        "<dt:HenTraLoi>2026/11/27 17:00:00</dt:HenTraLoi><dt:CoQuanXuLy>Phòng Hạ tầng kỹ "
        "thuật</dt:CoQuanXuLy></dt:KetQuaTiepNhan>"
    )


def expected(number: int) -> bytes:
    """What the body of every right answer contains, on both sides."""
    return f"SXD-{mark(number)}".encode()
