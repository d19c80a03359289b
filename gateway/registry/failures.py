"""The failures of the registry."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "registry.invalid",
            Branch.THEIRS,
            422,
            Words("Tài liệu đăng ký có lỗi", "The registry document has mistakes"),
            Words(
                "Tài liệu đăng ký có {count} lỗi; chưa có thay đổi nào được áp dụng.",
                "The registry document has {count} mistakes; nothing of it was applied.",
            ),
            Words("Sửa từng lỗi theo đường dẫn được nêu rồi áp dụng lại.", "Mend each one at the path given, then apply it again."),
        ),
        Kind(
            "registry.unknown",
            Branch.THEIRS,
            404,
            Words("Không có trong sổ đăng ký", "Not in the registry"),
            Words("Không có {what} nào mang mã {id} trong sổ đăng ký.", "The registry has no {what} with the id {id}."),
            Words("Xem danh sách bằng lệnh `lgsp registry show`.", "See the list with `lgsp registry show`."),
        ),
        Kind(
            "registry.key-taken",
            Branch.THEIRS,
            409,
            Words("Khóa đã được đăng ký", "The key is enrolled already"),
            Words(
                "Mã khóa {id} hoặc chứng thư của nó đã được đăng ký cho hệ thống {system}.",
                "The key id {id}, or its certificate, is enrolled already, for the system {system}.",
            ),
            Words("Tạo khóa mới với mã mới, rồi đăng ký lại.", "Make a new key with a new id, then enrol that."),
        ),
        Kind(
            "registry.stale",
            Branch.OURS,
            503,
            Words("Không đọc được sổ đăng ký", "The registry cannot be read"),
            Words(
                "Sổ đăng ký không đọc lại được từ {seconds} giây trước; không thể biết quyền nào còn hiệu lực.",
                "The registry could not be read for {seconds} seconds; what is still in force cannot be known.",
            ),
            Words("Gửi lại sau ít phút; người vận hành đã được báo.", "Try again in a few minutes; the operators can see it."),
        ),
    ]
)
