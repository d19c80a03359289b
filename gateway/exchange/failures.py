"""Kinds of failure of the exchange itself: repeats, replays, routes, doubt."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "message.replayed",
            Branch.THEIRS,
            409,
            Words("Thư đã được gửi trước đó", "Replayed"),
            Words("Đúng những byte đã ký này đã đến trước đó.", "These very signed bytes came before."),
            Words(
                "Để gửi lại một thông điệp, giữ mã thông điệp và ký lại với nonce và thời gian mới.",
                "To repeat a message, keep its message id and sign anew with a fresh nonce and time.",
            ),
        ),
        Kind(
            "message.answer-gone",
            Branch.THEIRS,
            410,
            Words("Câu trả lời không còn được lưu", "The answer is no longer kept"),
            Words(
                "Thông điệp này đã được xử lý trong giao dịch {transfer}; câu trả lời của nó đã hết hạn lưu, hoặc hợp đồng không lưu nội dung.",
                "This message was handled in transfer {transfer}; its answer is past its retention, or the contract keeps no bodies.",
            ),
            Words(
                "Hỏi kết quả tại /transfers/{transfer}; muốn hỏi lại thì gửi thông điệp mới với mã mới.",
                "Ask /transfers/{transfer} how it ended; to ask anew, send a new message with an id of its own.",
            ),
        ),
        Kind(
            "message.other-body",
            Branch.THEIRS,
            409,
            Words("Mã thông điệp đã dùng cho nội dung khác", "Message id used for another body"),
            Words(
                "Mã {message} đã dùng cho một thông điệp có nội dung khác.",
                "Id {message} was used for a message with another body.",
            ),
            Words("Dùng mã mới cho thông điệp mới.", "Use a new id for a new message."),
        ),
        Kind(
            "message.in-progress",
            Branch.THEIRS,
            409,
            Words("Thông điệp đang được xử lý", "Still in progress"),
            Words("Lần gửi đầu ({transfer}) chưa xong.", "The first one ({transfer}) is still in progress."),
            Words(
                "Chờ theo Retry-After rồi hỏi lại cùng mã.",
                "Wait as Retry-After says, then ask again with the same id.",
            ),
        ),
        Kind(
            "operation.newer",
            Branch.THEIRS,
            404,
            Words("Thao tác thuộc phiên bản mới hơn", "The operation belongs to a newer version"),
            Words(
                "Hệ thống được đăng ký theo {contract} bản {version}; thao tác {operation} chỉ có từ bản sau.",
                "The system is registered for {version} of {contract}; the operation {operation} came later.",
            ),
            Words(
                "Đề nghị cơ quan vận hành đăng ký phiên bản mới hơn cho hệ thống.",
                "Ask the operators to register a newer version for the system.",
            ),
        ),
        Kind(
            "route.none",
            Branch.OURS,
            503,
            Words("Chưa có nơi nhận", "No provider"),
            Words(
                "Chưa có hệ thống nào được đăng ký nhận {operation} của {contract} với nội dung này.",
                "No system is registered to take {operation} of {contract} for this message.",
            ),
            Words(
                "Cơ quan vận hành cần khai báo tuyến; hãy báo cho họ.",
                "The operator must add a route; please tell them.",
            ),
        ),
        Kind(
            "route.suspended",
            Branch.OURS,
            503,
            Words("Nơi nhận đang tạm dừng", "Provider suspended"),
            Words("Hệ thống {system} đang tạm dừng.", "System {system} is suspended."),
            Words("Thử lại sau; cơ quan vận hành đã biết.", "Try again later; the operator knows."),
        ),
        Kind(
            "transfer.in-doubt",
            Branch.OURS,
            502,
            Words("Chưa rõ kết quả", "Outcome unknown"),
            Words(
                "Lần chuyển {transfer} bị ngắt giữa chừng; chưa rõ bên nhận đã xử lý hay chưa.",
                "Transfer {transfer} was cut off; it is not known whether the other side acted.",
            ),
            Words(
                "Hỏi trạng thái tại /transfers/{transfer}; không gửi lại với mã khác.",
                "Ask /transfers/{transfer}; do not send it again under another id.",
            ),
        ),
    ]
)
