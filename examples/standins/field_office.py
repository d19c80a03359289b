"""The office of the commune Trường Hà (truong-ha): takes field reports in, canonical JSON over REST.

`POST …/requests` with a ServiceRequest (names of Open311 GeoReport v2). Invariant: every report that is taken in has a number
and a day by which it is answered.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from examples.standins.base import run
from examples.standins.rest_base import Refused, RestStandIn

_HERE: Final = timezone(timedelta(hours=7))
AREA: Final = "01392"


@dataclass(slots=True)
class FieldOffice(RestStandIn):
    """truong-ha."""

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        if not path.endswith("/requests"):
            raise Refused(404, self.error("not-found", f"Không có dịch vụ {path}; gọi POST /requests."))
        missing = [name for name in ("service_code", "area", "description") if not content.get(name)]
        if missing:
            raise Refused(400, self.error("missing", "Phản ánh thiếu " + ", ".join(missing) + "."))
        if content["area"] != AREA:
            raise Refused(422, self.error("wrong-area", f"Xã Trường Hà (mã {AREA}) không tiếp nhận phản ánh của địa bàn khác."))
        now = datetime.fromtimestamp(self.clock(), UTC).astimezone(_HERE)
        due = (now + timedelta(days=2)).replace(hour=17, minute=0, second=0, microsecond=0)
        return {
            "service_request_id": f"TH-{now:%Y}-{number:04d}",
            "status": "open",
            "service_notice": "Đã tiếp nhận, cán bộ địa bàn sẽ kiểm tra thực tế trong hai ngày.",
            "expected_datetime": due.isoformat(),
            "agency_responsible": "UBND xã Trường Hà",
        }


def main(arguments: list[str] | None = None) -> int:
    return run(FieldOffice, "field_office", arguments)


if __name__ == "__main__":
    sys.exit(main())
