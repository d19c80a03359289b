"""Kinds of failure of the vault beside those of `gateway.failures`: rows that were changed, a missing key, holds, readings without a reason."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "transfer.tampered",
            Branch.OURS,
            500,
            Words("Dữ liệu của giao dịch đã bị sửa", "The rows of this transfer were changed"),
            Words(
                "Dữ liệu lưu của giao dịch {transfer} không khớp với nhật ký và nội dung đã niêm phong ({what}). Không có gì được gửi đi hoặc trả lời.",
                "What is stored of transfer {transfer} is not what the log and the sealed contents say ({what}). Nothing was sent or answered.",
            ),
            Words(
                "Báo cho người vận hành trục; họ kiểm tra bằng `lgsp audit verify`.",
                "Tell the gateway's operators, who look with `lgsp audit verify`.",
            ),
        ),
        Kind(
            "vault.hold-stands",
            Branch.THEIRS,
            409,
            Words("Tên lệnh lưu giữ đã có", "A hold of that name stands"),
            Words(
                "Lệnh lưu giữ {name} do {actor} lập lúc {since} cho {covers}; {state}.",
                "The hold {name} was put in place at {since} by {actor} for {covers}; {state}.",
            ),
            Words(
                "{then} Lệnh mới cần tên mới, ví dụ {free}: khóa và nhật ký đã mang tên cũ.",
                "{then} A new hold needs a new name, such as {free}: keys and entries of the log bear the old one.",
            ),
        ),
        Kind(
            "vault.hold-too-late",
            Branch.THEIRS,
            409,
            Words("Nội dung đang bị hủy", "What is to be held is being destroyed"),
            Words(
                "Đã bắt đầu hủy khóa của {count} nội dung: {bodies}. Lệnh lưu giữ chưa được lập.",
                "The destruction of the keys of {count} bodies has begun: {bodies}. The hold is not in place.",
            ),
            Words(
                "Lập lệnh cho các giao dịch còn lại, hoặc chờ khóa bị hủy xong rồi lập lại; xem `lgsp vault status`.",
                "Hold the other transfers, or try again when that has ended; see `lgsp vault status`.",
            ),
        ),
        Kind(
            "vault.hold-unknown",
            Branch.THEIRS,
            404,
            Words("Không có lệnh lưu giữ này", "No such hold"),
            Words(
                "Không có lệnh lưu giữ {name} đang hiệu lực{ended}; đang có: {standing}.",
                "No hold {name} is in force{ended}; in force are: {standing}.",
            ),
            Words("Xem tất cả bằng `lgsp vault hold list`.", "`lgsp vault hold list` names all."),
        ),
        Kind(
            "vault.hold-wrong",
            Branch.THEIRS,
            400,
            Words("Lệnh lưu giữ không hợp lệ", "The hold cannot be read"),
            Words("{what} không dùng được: {why}.", "{what} will not do: {why}."),
            Words(
                "Tên gồm chữ thường, số và gạch nối; nêu --transfer, hoặc --agency, --contract, --from, --to.",
                "A name has small letters, digits and hyphens; name --transfer, or --agency, --contract, --from, --to.",
            ),
        ),
        Kind(
            "vault.key-missing",
            Branch.OURS,
            500,
            Words("Thiếu khóa của kho lưu trữ", "A key of the vault is missing"),
            Words(
                "Không có khóa {key_id}, và không có ghi nhận rằng nó đã bị hủy; nội dung {id} không đọc được.",
                "The key {key_id} is not there, and nothing says that it was destroyed; body {id} cannot be read.",
            ),
            Words(
                "Khôi phục khóa từ bản sao của kho khóa (vault_backup); không tạo khóa mới.",
                "Restore it from the key store's own copies (vault_backup); a new key opens nothing.",
            ),
        ),
        Kind(
            "vault.no-reason",
            Branch.THEIRS,
            400,
            Words("Thiếu lý do, hoặc lý do quá ngắn", "The reason is missing or too short"),
            Words(
                "Lý do có {length} ký tự; cần ít nhất {least}. Chưa có gì được đọc hoặc thay đổi.",
                "The reason has {length} characters; at least {least} are asked for. Nothing was read or changed.",
            ),
            Words(
                "Nêu lý do, ví dụ số văn bản yêu cầu; không ghi dữ liệu cá nhân, vì lý do nằm lại trong nhật ký.",
                "Give it, as the number of the request; no personal data, for it stays in the log.",
            ),
        ),
        Kind(
            "vault.nothing-of",
            Branch.THEIRS,
            404,
            Words("Kho không có gì của giao dịch này", "The vault has nothing of the transfer"),
            Words(
                "Kho không có nội dung nào của giao dịch {transfer}.", "The vault holds no body of transfer {transfer}."
            ),
            Words(
                "Kiểm tra mã giao dịch bằng `lgsp audit journey`; nội dung có thể đã hết hạn lưu trữ.",
                "Check its id with `lgsp audit journey`; its bodies may be past their retention.",
            ),
        ),
        Kind(
            "vault.no-part",
            Branch.THEIRS,
            404,
            Words("Giao dịch không có phần này", "The transfer has no such part"),
            Words(
                "Kho không có phần {part} của {transfer}; có: {parts}.",
                "The vault holds no part {part} of {transfer}; it holds: {parts}.",
            ),
            Words(
                "Chọn một phần trong danh sách. Hợp đồng có thể không lưu phần này (evidence).",
                "Name one of these. The contract may keep no such part (evidence).",
            ),
        ),
    ]
)
