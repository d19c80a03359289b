"""The failures of searching the log and of comparing counts, with their words."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "audit.bad-cursor",
            Branch.THEIRS,
            400,
            Words("Con trỏ tìm kiếm không hợp lệ", "The cursor of the search is not valid"),
            Words(
                "Con trỏ không thuộc về tìm kiếm này: {reason}.", "The cursor does not belong to this search: {reason}."
            ),
            Words(
                "Dùng đúng con trỏ mà trang trước trả về, với đúng các điều kiện đó, hoặc tìm lại từ đầu.",
                "Use the cursor of the page before with the very same conditions, or search from the start.",
            ),
        ),
        Kind(
            "reconciliation.busy",
            Branch.OURS,
            503,
            Words("Đang đối soát bảng khác", "Another comparison is under way"),
            Words(
                "Mỗi lúc chỉ so một bảng số liệu của một cơ quan, và chỉ vài cơ quan cùng lúc.",
                "One statement of an agency is compared at a time, and those of few agencies at once.",
            ),
            Words(
                "Gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới.",
                "Send it again after the time in Retry-After, freshly signed.",
            ),
        ),
        Kind(
            "reconciliation.too-long",
            Branch.OURS,
            503,
            Words("Đối soát quá lâu", "The comparison took too long"),
            Words(
                "Chưa so xong sau {seconds} giây nên dừng lại.",
                "It was not done after {seconds} seconds, and was ended.",
            ),
            Words(
                "Gửi ít danh sách thông điệp hơn, hoặc nhờ người vận hành chạy `lgsp audit reconcile`.",
                "List fewer messages, or ask the gateway's operators to run `lgsp audit reconcile`.",
            ),
        ),
        Kind(
            "reconciliation.day-open",
            Branch.THEIRS,
            400,
            Words("Ngày đối soát chưa kết thúc", "The day is not over"),
            Words("Ngày {day} (giờ Việt Nam) chưa kết thúc.", "The day {day} (time in Vietnam) is not over."),
            Words("Gửi số liệu sau nửa đêm.", "Send its counts after midnight."),
        ),
        Kind(
            "reconciliation.invalid",
            Branch.THEIRS,
            400,
            Words("Bảng số liệu không rõ ràng", "The statement of counts is not clear"),
            Words(
                "Có {count} chỗ trong bảng số liệu không đọc được.", "{count} places of the statement cannot be read."
            ),
            Words(
                "Sửa các chỗ nêu trong findings; xem docs/audit-log.md.",
                "Mend what `findings` name; see docs/audit-log.md.",
            ),
        ),
        Kind(
            "reconciliation.not-yours",
            Branch.POLICY,
            403,
            Words("Không phải số liệu của cơ quan gửi", "These are not the sender's numbers"),
            Words(
                "Cơ quan {agency} chỉ được đối soát hệ thống của mình, không phải {named}.",
                "Agency {agency} may compare the counts of its own systems only, not of {named}.",
            ),
            Words(
                "Để cơ quan có hệ thống đó gửi số liệu của mình.",
                "Have the agency whose system it is send its own numbers.",
            ),
        ),
    ]
)
