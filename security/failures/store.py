"""What is sealed."""

from __future__ import annotations

from contracts.base.errors import Branch
from security.failures.words import kind

STORE = (
    kind(
        Branch.OURS,
        "seal.broken",
        500,
        ("Dữ liệu lưu trữ bị hỏng", "Stored data is damaged"),
        (
            "Bản niêm phong không mở được: đã bị sửa, cắt bớt, hoặc không đúng khóa ({where}).",
            "A sealed record cannot be opened: it was changed, cut short, or the key is another ({where}).",
        ),
        (
            "Báo ngay cho bộ phận an toàn của Trung tâm; không ghi đè dữ liệu.",
            "Tell the centre's security officers at once; do not overwrite anything.",
        ),
    ),
)
