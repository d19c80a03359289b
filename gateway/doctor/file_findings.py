"""Findings about files and keys of an instance."""

from __future__ import annotations

from gateway.doctor.kinds import kind

kind(
    "files.modes",
    ("Người khác đọc được: {paths}", "Others can read: {paths}"),
    ("Ai có khóa là có thể ký, giải mã và mạo danh trục.", "Whoever has a key can sign, decrypt and pass for the gateway."),
    ("Đặt quyền 600 cho tệp, 700 cho thư mục; thay khóa nếu có thể đã lộ.", "chmod 600 for files, 700 for folders; replace keys that may have been read."),
    grave=True,
)  # fmt: skip
kind(
    "files.quarantined",
    ("{count} tệp trong thư mục thả đang bị cách ly: {paths}", "{count} dropped files are in quarantine: {paths}"),
    ("Tiến trình xử lý tệp đã dừng hai lần khi đang đọc mỗi tệp này.", "The process that takes files up ended twice while it had each of them in hand."),
    ("Xem từng tệp cùng cơ quan gửi; xóa tệp, hoặc chuyển về thư mục của hệ thống để đọc lại.", "Look at each with its sender; remove it, or move it back into its system's folder to have it read again."),
    grave=True,
)  # fmt: skip
kind(
    "files.open",
    ("Người khác vào được dữ liệu của phiên bản: {paths}", "Others can get at the instance's data: {paths}"),
    ("Ai đọc được là biết ai trao đổi gì với ai; ai ghi được là sửa được đăng ký và hàng đợi.", "Whoever reads it learns who exchanges what with whom; whoever writes it changes registry and queue."),
    ("Chạy: {commands}", "Run: {commands}"),
    grave=True,
)  # fmt: skip
kind(
    "files.settings-secret",
    ("{path} chứa mật khẩu cơ sở dữ liệu và người khác đọc được", "{path} holds the password of the database, and others can read it"),
    ("Ai đọc được tệp này là vào được cơ sở dữ liệu.", "Whoever reads it gets into the database."),
    ("Đặt quyền 600, hoặc để mật khẩu trong ~/.pgpass.", "chmod 600, or keep the password in ~/.pgpass."),
    grave=True,
)  # fmt: skip
kind(
    "keys.unprotected",
    ("{count} tệp khóa nằm không mã hóa", "{count} key files lie in the clear"),
    ("Một bản sao của thư mục dữ liệu, kể cả bản sao lưu, mở được mọi thứ.", "A copy of the data folder, a backup too, opens everything."),
    ("Dừng phiên bản rồi chạy `lgsp keys protect --new-secret TỆP`.", "Stop the instance and run `lgsp keys protect --new-secret FILE`."),
    grave=True, sandbox_too=False,
)  # fmt: skip
kind(
    "keys.locked",
    ("Không mở được khóa {name}: {reason}", "The key {name} does not open: {reason}"),
    ("Trục không khởi động được với khóa này.", "The gateway cannot start with it."),
    ("Kiểm tra secret_file, hoặc khôi phục khóa từ bản sao lưu.", "Check secret_file, or restore the key from a backup."),
    grave=True,
)  # fmt: skip
kind(
    "keys.root-online",
    ("Khóa gốc của cơ quan chứng thực nằm trên máy này: {path}", "The authority's root key lies on this machine: {path}"),
    ("Ai chiếm được máy sẽ lập được cơ quan chứng thực giả mà mọi hệ thống đều tin.", "Whoever takes the machine can make authorities that every system trusts."),
    ("Chuyển ca/root.key sang nơi lưu giữ ngoại tuyến.", "Move ca/root.key to offline storage; the issuers go on without it."),
    grave=True, sandbox_too=False,
)  # fmt: skip
kind(
    "keys.short",
    ("Khóa ngắn: {keys}", "Short keys: {keys}"),
    ("RSA dưới 3072 bit không còn được cấp mới; nên thay sớm.", "RSA below 3072 bits is no longer issued; it should be replaced soon."),
    ("Cấp khóa mới (EC P-256, hoặc RSA từ 3072 bit).", "Enrol new keys (EC P-256, or RSA from 3072 bits)."),
)  # fmt: skip
