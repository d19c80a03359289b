"""The urban management system of the Department of Construction (do-thi): takes field reports as its own XML by SOAP.

Body in: `PhieuPhanAnh`, action `…:TiepNhanPhanAnh`. Body out: `KetQuaTiepNhan`. Codes are numbers, times
`yyyy/MM/dd HH:mm:ss` of +07:00. Every call must carry the gateway's WS-Security signature over Body, timestamp,
token and headers, the caller's name among them. Invariant: one wsa:MessageID is one file; a repeat gets its number.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from lxml import etree

from gateway.sample_client.wssec import Element, canonical
from gateway.sandbox.standins.base import Call, run
from gateway.sandbox.standins.soap_base import NotTaken, SoapStandIn

NAMESPACE: Final = "urn:caobang:so-xay-dung:do-thi:1"
ACTION: Final = NAMESPACE + ":TiepNhanPhanAnh"
_HERE: Final = timezone(timedelta(hours=7))
_OFFICE: Final = {
    "1": ("Phòng Hạ tầng kỹ thuật, Sở Xây dựng tỉnh Cao Bằng",
          "Đã tiếp nhận, tổ duy tu sẽ kiểm tra hiện trường trong hai ngày làm việc.", 3),
    "2": ("Trung tâm Dịch vụ công ích đô thị",
          "Đã tiếp nhận, đội vệ sinh và cây xanh xử lý trong ngày làm việc kế tiếp.", 1),
    "3": ("Thanh tra Sở Xây dựng tỉnh Cao Bằng", "Đã tiếp nhận, thanh tra sẽ lập biên bản kiểm tra trong năm ngày.", 5),
    "9": ("Phòng Quản lý đô thị, Sở Xây dựng tỉnh Cao Bằng", "Đã tiếp nhận và phối hợp với Công an xã, phường.", 2),
}  # fmt: skip


@dataclass(slots=True)
class SoapAgency(SoapStandIn):
    """do-thi."""

    def take_in(self, call: Call, content: Element, action: str, number: int) -> bytes:
        if action != ACTION or content.tag != f"{{{NAMESPACE}}}PhieuPhanAnh":
            raise NotTaken(f"Hệ thống chỉ nhận PhieuPhanAnh với thao tác {ACTION}.")
        ns = {"dt": NAMESPACE}
        kind = (content.findtext("dt:LinhVuc", namespaces=ns) or "").strip()
        place = (content.findtext("dt:ViTri/dt:MaXa", namespaces=ns) or "").strip()
        # Blank text counts: the contract requires one character.
        if not place or not content.findtext("dt:NoiDung", namespaces=ns):
            raise NotTaken("Phiếu phản ánh thiếu ViTri/MaXa hoặc NoiDung.")
        if len(kind) != 3 or kind[0] not in _OFFICE:
            raise NotTaken("LinhVuc không có trong danh mục của Sở Xây dựng.")
        office, notice, days = _OFFICE[kind[0]]
        now = datetime.fromtimestamp(self.clock(), UTC).astimezone(_HERE)
        due = (now + timedelta(days=days)).replace(hour=17, minute=0, second=0)
        result = etree.Element(f"{{{NAMESPACE}}}KetQuaTiepNhan", nsmap={"dt": NAMESPACE})
        for name, text in (
            ("MaHoSo", f"SXD-{now:%Y-%m}-{number:05d}"), ("TrangThai", "01"), ("ThongBao", notice),
            ("HenTraLoi", f"{due:%Y/%m/%d %H:%M:%S}"), ("CoQuanXuLy", office),
        ):  # fmt: skip
            etree.SubElement(result, f"{{{NAMESPACE}}}{name}").text = text
        return canonical(result)


def main(arguments: list[str] | None = None) -> int:
    return run(SoapAgency, "soap_agency", arguments)


if __name__ == "__main__":
    sys.exit(main())
