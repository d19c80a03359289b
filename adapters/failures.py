"""The failures of reaching a component system, each with what is known of whether the system acted.

Invariant: every failure that leaves an adapter says `acted`: `no` only if nothing was sent or the system itself said, signed, that it
refused; `maybe` in all other cases. The state of the transfer depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from contracts.base.errors import Branch, Finding, Kind, Ours, Theirs, Words, register


class Acted(StrEnum):
    NO = "no"
    MAYBE = "maybe"


class ProviderFailure(Ours):
    """The provider could not be reached, or did not give a usable answer."""

    def __init__(
        self,
        code: str,
        *,
        acted: Acted,
        evidence_out: bytes = b"",
        evidence_in: bytes = b"",
        retry_after: int | None = None,
        findings: Iterable[Finding] = (),
        **facts: Any,
    ) -> None:
        super().__init__(code, findings=findings, retry_after=retry_after, sent=acted.value, **facts)
        self.acted: Final = acted
        self.evidence_out: Final = evidence_out
        self.evidence_in: Final = evidence_in
        self.opened_out = b""  # of encrypted bodies, what was signed: filled in by whoever encrypts and decrypts
        self.opened_in = b""

    @property
    def may_have_acted(self) -> bool:
        return self.acted is not Acted.NO

    @property
    def final(self) -> bool:
        """The provider itself said, signed, that it will not: to send the same again is in vain."""
        return self.code == "provider.refused" and self.acted is Acted.NO


class ProviderMissing(Theirs):
    """The provider said, signed, that what was asked for does not exist."""

    def __init__(self, code: str, *, evidence_out: bytes = b"", evidence_in: bytes = b"", **facts: Any) -> None:
        super().__init__(code, sent=Acted.NO.value, **facts)
        self.acted: Final = Acted.NO
        self.evidence_out: Final = evidence_out
        self.evidence_in: Final = evidence_in

    @property
    def may_have_acted(self) -> bool:
        return False

    @property
    def final(self) -> bool:
        return True


# The provider is not to blame for these: they say nothing of its health.
SOUND: Final = frozenset({"provider.not-found", "provider.refused", "provider.resting"})


register(
    [
        Kind(
            "provider.no-encryption-key",
            Branch.OURS,
            502,
            Words("Hệ thống đích chưa có khóa mã hóa", "The receiving system has no encryption key"),
            Words(
                "Hợp đồng dữ liệu đòi nội dung mã hóa, nhưng hệ thống {system} chưa có khóa mã hóa {kind} còn hiệu lực. Chưa có dữ liệu nào được gửi đi.",
                "The contract demands encrypted bodies, but the system {system} has no encryption key ({kind}) in force. Nothing was sent.",
            ),
            Words(
                "Cơ quan quản lý hệ thống cần đăng ký chứng thư mã hóa; gửi lại sau khi đã đăng ký.",
                "The agency that runs the system must enrol an encryption certificate; send again when it has.",
            ),
        ),
        Kind(
            "provider.down",
            Branch.OURS,
            502,
            Words("Không kết nối được hệ thống đích", "The receiving system cannot be reached"),
            Words(
                "Không mở được kết nối tới hệ thống {system} ({reason}). Chưa có dữ liệu nào được gửi đi.",
                "No connection to the system {system} could be opened ({reason}). Nothing was sent.",
            ),
            Words(
                "Gửi lại sau ít phút với cùng mã thông điệp; nếu vẫn lỗi, báo đầu mối của cơ quan quản lý hệ thống.",
                "Try again in a few minutes with the same message id; if it persists, tell the contact of the agency that runs the system.",
            ),
        ),
        Kind(
            "provider.timeout",
            Branch.OURS,
            504,
            Words("Hệ thống đích không trả lời kịp", "The receiving system did not answer in time"),
            Words(
                "Hệ thống {system} không trả lời trong {seconds} giây. Yêu cầu có thể đã được xử lý.",
                "The system {system} did not answer within {seconds} seconds. The request may have been acted on.",
            ),
            Words(
                "Xem trạng thái tại địa chỉ /transfers/ của giao dịch trước khi gửi lại; gửi lại với cùng mã thông điệp.",
                "Look at the transfer's address under /transfers/ before sending again; send again with the same message id.",
            ),
        ),
        Kind(
            "provider.dropped",
            Branch.OURS,
            502,
            Words("Kết nối tới hệ thống đích bị ngắt", "The receiving system dropped the connection"),
            Words(
                "Kết nối tới hệ thống {system} bị ngắt trước khi có đủ câu trả lời ({reason}). Yêu cầu có thể đã được xử lý.",
                "The connection to the system {system} ended before the answer was complete ({reason}). The request may have been acted on.",
            ),
            Words(
                "Xem trạng thái tại địa chỉ /transfers/ của giao dịch trước khi gửi lại; gửi lại với cùng mã thông điệp.",
                "Look at the transfer's address under /transfers/ before sending again; send again with the same message id.",
            ),
        ),
        Kind(
            "provider.bad-signature",
            Branch.OURS,
            502,
            Words("Chữ ký của hệ thống đích không hợp lệ", "The receiving system's signature does not hold"),
            Words(
                "Câu trả lời của hệ thống {system} không có chữ ký hợp lệ bằng khóa đã đăng ký của hệ thống đó ({reason}); câu trả lời bị bỏ.",
                "The answer of the system {system} bears no valid signature by a registered key of that system ({reason}); it was discarded.",
            ),
            Words(
                "Cơ quan quản lý hệ thống cần kiểm tra khóa ký và đăng ký chứng thư mới nếu đã thay khóa.",
                "The agency that runs the system must check its signing key, and enrol the new certificate if the key was changed.",
            ),
        ),
        Kind(
            "provider.bad-answer",
            Branch.OURS,
            502,
            Words("Câu trả lời của hệ thống đích sai định dạng", "The receiving system's answer is malformed"),
            Words(
                "Câu trả lời của hệ thống {system} không đúng định dạng đã đăng ký ({reason}).",
                "The answer of the system {system} is not in its registered format ({reason}).",
            ),
            Words(
                "Cơ quan quản lý hệ thống cần sửa câu trả lời cho đúng hợp đồng dữ liệu; bằng chứng được giữ cùng giao dịch.",
                "The agency that runs the system must bring its answer in line with the contract; the evidence is kept with the transfer.",
            ),
        ),
        Kind(
            "provider.answer-too-large",
            Branch.OURS,
            502,
            Words("Câu trả lời của hệ thống đích quá lớn", "The receiving system's answer is too large"),
            Words(
                "Câu trả lời của hệ thống {system} vượt quá {limit} byte và không được nhận hết.",
                "The answer of the system {system} exceeds {limit} bytes and was not read to its end.",
            ),
            Words("Thu hẹp phạm vi yêu cầu.", "Ask for less at once."),
        ),
        Kind(
            "provider.fault",
            Branch.OURS,
            502,
            Words("Hệ thống đích báo lỗi nội bộ", "The receiving system reports a fault of its own"),
            Words(
                "Hệ thống {system} trả lỗi nội bộ (trạng thái {provider_status}).",
                "The system {system} answered with a fault of its own (status {provider_status}).",
            ),
            Words(
                "Gửi lại sau với cùng mã thông điệp; nếu vẫn lỗi, báo đầu mối của cơ quan quản lý hệ thống.",
                "Try again later with the same message id; if it persists, tell the contact of the agency that runs the system.",
            ),
        ),
        Kind(
            "provider.refused",
            Branch.OURS,
            502,
            Words("Hệ thống đích từ chối yêu cầu", "The receiving system refuses the request"),
            Words(
                "Hệ thống {system} từ chối yêu cầu (trạng thái {provider_status}).",
                "The system {system} refused the request (status {provider_status}).",
            ),
            Words(
                "Kiểm tra nội dung thông điệp; nếu nội dung đúng, báo đầu mối của cơ quan quản lý hệ thống kèm mã giao dịch.",
                "Check what the message says; if it is right, give the transfer's id to the contact of the agency that runs the system.",
            ),
        ),
        Kind(
            "provider.not-found",
            Branch.THEIRS,
            404,
            Words("Hệ thống đích không có dữ liệu này", "The receiving system has no such data"),
            Words(
                "Hệ thống {system} trả lời rằng dữ liệu được hỏi không tồn tại.",
                "The system {system} answered that what was asked for does not exist.",
            ),
            Words("Kiểm tra các mã trong yêu cầu.", "Check the codes in the request."),
        ),
    ]
)
