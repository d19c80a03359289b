"""Kinds of failure of the gateway's own APIs."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "api.invalid",
            Branch.THEIRS,
            400,
            Words("Tham số không hợp lệ", "Invalid parameters"),
            Words("Yêu cầu có {count} tham số không hợp lệ.", "The request has {count} invalid parameters."),
            Words("Sửa từng tham số theo danh sách findings.", "Mend each parameter that `findings` names."),
        ),
        Kind(
            "api.replayed",
            Branch.THEIRS,
            409,
            Words("Yêu cầu đã được gửi trước đó", "Replayed"),
            Words("Đúng những byte đã ký này đã đến trước đó.", "These very signed bytes came before."),
            Words("Ký lại với nonce và thời gian mới.", "Sign anew, with a fresh nonce and time."),
        ),
        Kind(
            "transfer.unknown",
            Branch.THEIRS,
            404,
            Words("Không có giao dịch này", "No such transfer"),
            Words(
                "Không có giao dịch {transfer} mà hệ thống của bạn là bên gửi hoặc bên nhận.",
                "There is no transfer {transfer} of which your system is the sender or the receiver.",
            ),
            Words(
                "Kiểm tra mã trong tiêu đề Lgsp-Transfer của câu trả lời.",
                "Check the id in the answer's Lgsp-Transfer header.",
            ),
        ),
        Kind(
            "feed.unknown",
            Branch.THEIRS,
            404,
            Words("Không có luồng dữ liệu này", "No such feed"),
            Words(
                "Không có hợp đồng {contract} nào đang có hiệu lực và có luồng dữ liệu.",
                "No contract {contract} that has a feed is in force.",
            ),
            Words("Xem danh mục các hợp đồng tại /contracts.", "See the catalogue of contracts at /contracts."),
        ),
        Kind(
            "audit.not-yours",
            Branch.POLICY,
            403,
            Words("Không được xem nội dung nhật ký", "The log's entries are not open to you"),
            Words(
                "Chỉ cơ quan có vai trò Trung tâm được đọc các mục nhật ký; cơ quan của bạn là {agency}.",
                "Only agencies with the role of the centre may read the log's entries; yours is {agency}.",
            ),
            Words(
                "Dùng /audit/proof/ cho các giao dịch của hệ thống bạn; các ô băm và checkpoint thì ai cũng đọc được.",
                "Use /audit/proof/ for your own transfers; hash tiles and checkpoints are open to everybody.",
            ),
        ),
        Kind(
            "audit.no-checkpoint",
            Branch.OURS,
            503,
            Words("Chưa có checkpoint", "No checkpoint yet"),
            Words("Nhật ký chưa có checkpoint nào được ký.", "The log has no signed checkpoint yet."),
            Words("Thử lại sau vài giây.", "Try again in a few seconds."),
        ),
        Kind(
            "token.grant-type",
            Branch.THEIRS,
            400,
            Words("Loại cấp mã không được hỗ trợ", "Unsupported grant type"),
            Words("grant_type phải là client_credentials.", "grant_type must be client_credentials."),
            Words("Xem trang «Giao thức», mục Token.", "See the wire page, section Token."),
        ),
        Kind(
            "token.assertion-type",
            Branch.THEIRS,
            400,
            Words("Loại khẳng định không được hỗ trợ", "Unsupported assertion type"),
            Words(
                "client_assertion_type phải là {expected}.",
                "client_assertion_type must be {expected}.",
            ),
            Words("Xem trang «Giao thức», mục Token.", "See the wire page, section Token."),
        ),
        Kind(
            "token.other-system",
            Branch.POLICY,
            403,
            Words(
                "Chứng thư và khẳng định không cùng một hệ thống", "Certificate and assertion name different systems"
            ),
            Words(
                "Chứng thư TLS thuộc {channel}, còn khẳng định thuộc {other}.",
                "The TLS certificate belongs to {channel}, but the assertion belongs to {other}.",
            ),
            Words(
                "Dùng khóa ký và chứng thư của cùng một hệ thống.",
                "Use signing key and certificate of one and the same system.",
            ),
        ),
        Kind(
            "token.assertion-used",
            Branch.THEIRS,
            400,
            Words("Khẳng định đã được dùng", "The assertion was used before"),
            Words("Khẳng định có jti này đã được dùng một lần.", "An assertion with this jti has served already."),
            Words(
                "Tạo khẳng định mới với jti mới cho mỗi lần xin mã.",
                "Make a new assertion with a new jti for each token.",
            ),
        ),
    ]
)
