"""The one-stop system (mot-cua): the state of a dossier, in its own JSON, as JWS in JWE both ways.

`POST …/api/TraCuuHoSo` with MaHoSo. Dossiers are computed from the code, so a question always has the same answer.
A code that no agency of the province issued is not found.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from gateway.sandbox.standins.base import run
from gateway.sandbox.standins.rest_base import Refused, RestStandIn

PATH: Final = "/api/TraCuuHoSo"
_CODE: Final = re.compile(r"(H14[.][0-9]+|000[.]00[.][0-9]{2}[.]H14)-([0-9]{6})-([0-9]{4,6})")
_PROCEDURES: Final = (
    ("1.001193", "Đăng ký khai sinh"), ("1.012756", "Đăng ký, cấp Giấy chứng nhận quyền sử dụng đất"),
    ("2.000635", "Cấp bản sao trích lục hộ tịch"),
    ("1.004227", "Cấp giấy phép xây dựng nhà ở riêng lẻ"),
)  # fmt: skip
_APPLICANTS: Final = ("Đàm Thị Nhuần", "Hoàng Văn Slấn", "Nông Thị Pá", "Mã Đức Thịnh", "Lý Mùi Pham")


@dataclass(slots=True)
class OneStop(RestStandIn):
    encrypted: ClassVar[bool] = True

    def error(self, code: str, text: str) -> dict[str, Any]:
        return {"error_code": 99, "message": f"{code}: {text}"}

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        if path != PATH:
            raise Refused(404, self.error("NOT_FOUND", path))
        code = str(content.get("MaHoSo", ""))
        named = _CODE.fullmatch(code)
        if named is None:
            return {"error_code": 1, "message": "Không tìm thấy hồ sơ"}
        chance = hashlib.sha256(code.encode()).digest()
        procedure, title = _PROCEDURES[chance[0] % len(_PROCEDURES)]
        received = datetime.strptime(named[2], "%y%m%d") + timedelta(hours=8, minutes=chance[1] % 60)
        return {
            "error_code": 0,
            "message": "Thành công",
            "data": {
                "MaHoSo": code,
                "MaTTHC": procedure,
                "TenTTHC": title,
                "DonViXuLy": "000.00.22.H14",
                "ChuHoSo": _APPLICANTS[chance[2] % len(_APPLICANTS)],
                "TrangThaiHoSo": 4,
                "ThoiDiemXuLy": f"{received + timedelta(hours=1):%Y%m%d%H%M%S}",
                "NgayTiepNhan": f"{received:%Y%m%d%H%M%S}",
                "NgayHenTra": f"{received + timedelta(days=3 + chance[3] % 20):%Y%m%d}170000",
                "NguoiXuLy": "*BM*",
                "NoiDungXuLy": "Đang thẩm tra hồ sơ tại bộ phận chuyên môn.",
                "LePhi": "0",
                "TrucTuyen": 1,
            },
        }


def main(arguments: list[str] | None = None) -> int:
    return run(OneStop, "one_stop", arguments)


if __name__ == "__main__":
    sys.exit(main())
