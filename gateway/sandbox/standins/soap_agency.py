"""The urban management system of the Department of Construction (do-thi): takes field reports as its own XML by SOAP.

Body in: `PhieuPhanAnh`, action `…:TiepNhanPhanAnh`. Body out: `KetQuaTiepNhan`. Codes are numbers, times
`yyyy/MM/dd HH:mm:ss` of +07:00. Every call must carry the gateway's WS-Security signature over Body, timestamp,
token and headers, the caller's name among them. Invariant: one wsa:MessageID is one file; a repeat gets its number.
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from lxml import etree

from gateway.sample_client.wssec import (
    LGSP,
    SOAP,
    WSA,
    BadEnvelope,
    Element,
    canonical,
    new_envelope,
    parse,
    serialise,
    sign,
    verify,
)
from gateway.sandbox.standins.base import Call, Conflict, Reply, StandIn, run

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


class NotTaken(Exception):
    """A report that is not accepted, and why, for people."""


@dataclass(slots=True)
class SoapAgency(StandIn):
    """do-thi."""

    def answer(self, call: Call, spoil: bool) -> Reply:
        now = self.clock()
        try:
            verified = verify(parse(call.body), self.identity.keys.by_thumbprint, now)
            message, action = verified.text(WSA, "MessageID") or "", verified.text(WSA, "Action") or ""
            caller, to = verified.text(LGSP, "Caller") or "", verified.text(WSA, "To")
            if not message.startswith("urn:uuid:") or "/" not in caller or verified.body is None:
                raise BadEnvelope("wsa:MessageID, lgsp:Caller or the Body's element is missing")
            if call.headers.get("soapaction", "").strip('"') != action:
                raise BadEnvelope("SOAPAction and wsa:Action differ")
            if to is not None and to.startswith("https://") and not self.is_ours(to):
                raise BadEnvelope("wsa:To is not an address of this system")
            if not self.replays.first_time(verified.replay_key, now):
                raise BadEnvelope("this very message was seen before")
        except BadEnvelope as wrong:
            # an unauthenticated caller gets an unsigned Fault
            self.records.saw("", refused=True)
            return Reply(
                500, {"content-type": "text/xml; charset=utf-8"}, serialise(new_envelope(_fault("Client", str(wrong))))
            )

        element = verified.body
        try:
            content = self.records.once(
                message, canonical(element), lambda number: self._take_in(element, action, number)
            )
            body, status = parse(content), 200
        except (NotTaken, Conflict) as no:
            body, status = _fault("Client", str(no)), 500
        self.records.saw(message.removeprefix("urn:uuid:"), refused=status >= 400)
        headers = [
            ("Action", "action", f"{action}Response" if status == 200 else f"{WSA}/fault"),
            ("MessageID", "message-id", f"urn:uuid:{uuid.uuid4()}"),
            ("RelatesTo", "relates-to", message),
        ]
        root = sign(new_envelope(body), self.identity.signer, headers=headers, now=now)
        if spoil:
            etree.SubElement(root.find(f"{{{SOAP}}}Body"), "sau-khi-ky")  # type: ignore[arg-type]
        return Reply(status, {"content-type": "text/xml; charset=utf-8"}, serialise(root))

    def _take_in(self, report: Element, action: str, number: int) -> bytes:
        if action != ACTION or report.tag != f"{{{NAMESPACE}}}PhieuPhanAnh":
            raise NotTaken(f"Hệ thống chỉ nhận PhieuPhanAnh với thao tác {ACTION}.")
        ns = {"dt": NAMESPACE}
        kind = (report.findtext("dt:LinhVuc", namespaces=ns) or "").strip()
        place = (report.findtext("dt:ViTri/dt:MaXa", namespaces=ns) or "").strip()
        # Blank text counts: the contract requires one character.
        if not place or not report.findtext("dt:NoiDung", namespaces=ns):
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


def _fault(code: str, text: str) -> Element:
    fault = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
    etree.SubElement(fault, "faultcode").text = f"soap:{code}"
    etree.SubElement(fault, "faultstring").text = text
    return fault


def main(arguments: list[str] | None = None) -> int:
    return run(SoapAgency, "soap_agency", arguments)


if __name__ == "__main__":
    sys.exit(main())
