"""What a simulated system does wrong when it is told to: one list of kinds for a header, an address and a page.

    LGSP-Sandbox-Fault: slow;seconds=3         with one call; the gateway passes it on to the sandbox's systems only
    POST /_fault {"kind": "slow", "seconds": 3, "count": 1}

`code` of a kind is what the gateway then tells its caller; empty if the call succeeds all the same.
Invariant: this module stands on the standard library alone, since stand-ins share no code with the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

HEADER: Final = "lgsp-sandbox-fault"
NONE: Final = "none"
LONGEST: Final = 600.0  # seconds that an answer can be held back
_HEADER: Final = re.compile(r"([a-z-]{1,40})(?:\s*;\s*seconds=([0-9]{1,3}(?:\.[0-9]{1,3})?))?")


@dataclass(frozen=True, slots=True)
class Kind:
    """`acts`: whether the message is carried out. `code`: what the gateway tells the caller."""

    acts: bool
    code: str
    vi: str
    en: str


KINDS: Final[Mapping[str, Kind]] = {
    NONE: Kind(True, "", "Trả lời đúng", "Answers as it should"),
    "slow": Kind(True, "", "Trả lời chậm", "Answers slowly"),
    "silent": Kind(False, "provider.timeout", "Nhận mà không trả lời", "Takes the call and never answers"),
    "down": Kind(False, "provider.dropped", "Ngắt kết nối, không xử lý", "Drops the connection and does nothing"),
    "close": Kind(True, "provider.dropped", "Xử lý xong rồi ngắt kết nối", "Acts, then drops the connection"),
    "late": Kind(True, "provider.timeout", "Trả lời sau khi đã hết thời gian chờ", "Answers after the time-out"),
    "wrong-status": Kind(False, "provider.fault", "Báo lỗi 500, không ký", "Status 500, unsigned"),
    "malformed": Kind(True, "provider.bad-answer", "Trả lời bị cắt cụt, có ký", "A signed answer that is cut off"),
    "wrong-type": Kind(True, "provider.bad-answer", "Một trường sai kiểu dữ liệu", "A field has another type"),
    "wrong-code": Kind(True, "provider.bad-answer", "Một mã không có trong danh mục", "A code that no table has"),
    "bad-signature": Kind(True, "provider.bad-signature", "Sửa nội dung sau khi ký", "Altered after signing"),
    "other-key": Kind(True, "provider.bad-signature", "Ký bằng khóa khác", "Signed with another key"),
    "expired-certificate": Kind(
        True, "provider.bad-signature", "Ký bằng chứng thư hết hạn", "Signed under an expired certificate"
    ),
    "revoked-certificate": Kind(
        True, "provider.bad-signature", "Ký bằng chứng thư đã thu hồi", "Signed under a certificate that was revoked"
    ),
    "clock-off": Kind(True, "provider.bad-signature", "Đồng hồ chậm một giờ", "Its clock is an hour slow"),
    "duplicate": Kind(True, "provider.bad-signature", "Gửi lại câu trả lời trước", "Sends the answer before once more"),
    "out-of-order": Kind(True, "", "Trả lời sau lời gọi đến sau", "Answers after the call that came later"),
    "strict": Kind(
        True,
        "",
        "Chặt như trục quốc gia: chữ ký không quá 10 giây, không nhận lại, chữ dạng NFC",
        "As strict as a national exchange: signatures of 10 seconds, no repeats, text in NFC",
    ),
}


@dataclass(slots=True)
class Fault:
    """What to do wrong, for how many calls (0: until changed). `seconds`: how long, where the kind has a time."""

    kind: str = NONE
    seconds: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError("kind is one of " + ", ".join(KINDS))
        if not 0 <= self.seconds <= LONGEST or self.count < 0:
            raise ValueError(f"seconds are from 0 to {LONGEST:.0f}, and count is 0 or more")

    @classmethod
    def read(cls, content: Any) -> Fault:
        """ValueError or TypeError for a content that is no fault."""
        if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
            raise ValueError("kind is one of " + ", ".join(KINDS))
        return cls(content["kind"], float(content.get("seconds", 0)), int(content.get("count", 0)))

    @classmethod
    def of_header(cls, text: str) -> Fault:
        """`kind` or `kind;seconds=N`. ValueError for anything else."""
        found = _HEADER.fullmatch(text.strip())
        if found is None:
            raise ValueError("kind;seconds=N, where kind is one of " + ", ".join(KINDS))
        return cls(found[1], float(found[2] or 0))

    @property
    def acts(self) -> bool:
        return KINDS[self.kind].acts

    def take(self) -> Fault:
        """The fault for this call. Counts down."""
        now = Fault(self.kind, self.seconds)
        if self.kind != NONE and self.count:
            self.count -= 1
            if not self.count:
                self.kind = NONE
        return now
