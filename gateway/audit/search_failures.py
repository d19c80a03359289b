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
            Words("Con trỏ không thuộc về tìm kiếm này: {reason}.", "The cursor does not belong to this search: {reason}."),
            Words(
                "Dùng đúng con trỏ mà trang trước trả về, với đúng các điều kiện đó, hoặc tìm lại từ đầu.",
                "Use the cursor of the page before with the very same conditions, or search from the start.",
            ),
        ),
    ]
)
