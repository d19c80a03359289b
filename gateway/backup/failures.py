"""The failures of backup and restore, with their words."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register


def _kind(code: str, branch: Branch, title: tuple[str, str], what: tuple[str, str], then: tuple[str, str]) -> Kind:
    status = 500 if branch is Branch.OURS else 400
    return Kind(f"backup.{code}", branch, status, Words(*title), Words(*what), Words(*then))


register(
    [
        _kind(
            "broken",
            Branch.THEIRS,
            ("Bản sao lưu không dùng được", "The backup cannot be used"),
            ("Bản sao lưu {folder}: {reason}.", "The backup {folder}: {reason}."),
            (
                "Dùng một bản sao lưu khác; giữ bản này để điều tra nếu nó đã bị sửa.",
                "Take another backup; keep this one for whoever looks into it, if it was changed.",
            ),
        ),
        _kind(
            "disk-full",
            Branch.OURS,
            ("Không đủ chỗ trống", "There is not enough room"),
            (
                "Cần khoảng {needed} MiB tại {path}, chỉ còn {free} MiB.",
                "About {needed} MiB are needed at {path}, and {free} MiB are free.",
            ),
            (
                "Giải phóng chỗ trống hoặc chọn nơi khác; chưa có bản sao nào được tạo.",
                "Make room, or name another place; nothing was left behind.",
            ),
        ),
        _kind(
            "forked",
            Branch.THEIRS,
            ("Bản sao lưu mâu thuẫn với điểm kiểm tra đã ký", "The backup contradicts a checkpoint that was signed"),
            (
                "{size} mục đầu của bản sao lưu không phải là những mục đã ký trong {name}.",
                "The first {size} entries of the backup are not those that were signed in {name}.",
            ),
            (
                "Không khôi phục bản này; báo người phụ trách an toàn thông tin.",
                "Do not restore it; tell the security officer.",
            ),
        ),
        _kind(
            "kind",
            Branch.THEIRS,
            ("Bản sao lưu của loại cơ sở dữ liệu khác", "The backup is of another kind of database"),
            (
                "Bản sao lưu là của {found}; đích là {wanted}.",
                "The backup is of {found}; the place to restore to is {wanted}.",
            ),
            (
                "Khôi phục về cùng loại cơ sở dữ liệu (`--database` cho PostgreSQL).",
                "Restore to the same kind (`--database` for PostgreSQL).",
            ),
        ),
        _kind(
            "newer",
            Branch.THEIRS,
            ("Bản sao lưu của phiên bản mới hơn", "The backup is of a newer release"),
            (
                "Bảng ở phiên bản {revision}, chương trình này chưa biết.",
                "Its tables are at revision {revision}, which this program does not know.",
            ),
            (
                "Dùng chương trình của bản phát hành đã sao lưu hoặc mới hơn.",
                "Use the release that made it, or a later one.",
            ),
        ),
        _kind(
            "none",
            Branch.THEIRS,
            ("Không phải bản sao lưu", "It is no backup"),
            (
                "Trong {folder} không có {name}: không phải bản sao lưu, hoặc việc sao lưu bị dừng giữa chừng.",
                "There is no {name} in {folder}: no backup, or one that was cut short.",
            ),
            ("Chỉ thư mục do `lgsp backup` tạo trọn vẹn.", "Name a folder that `lgsp backup` finished."),
        ),
        _kind(
            "old-runs",
            Branch.THEIRS,
            ("Phiên bản cũ vẫn đang chạy", "The old instance still runs"),
            (
                "Phiên bản được sao lưu tại {old} vẫn đang chạy trên máy này: mở cửa cả hai thì cùng một thông điệp có thể được nhận và gửi hai lần. Chưa có gì thay đổi.",
                "The instance of the backup, in {old}, still runs on this machine: with both open, one message may be taken and sent twice. Nothing was changed.",
            ),
            (
                "Dừng phiên bản cũ rồi chạy lại; bản khôi phục để diễn tập thì không xác nhận. Nếu đúng là muốn cả hai cùng chạy: `--although-it-runs`.",
                "Stop the old instance and run it again; a drill is never confirmed. If both are really to run: `--although-it-runs`.",
            ),
        ),
        _kind(
            "not-held",
            Branch.THEIRS,
            ("Không có gì chờ xác nhận", "Nothing waits to be confirmed"),
            (
                "Phiên bản tại {data} không chờ xác nhận sau khôi phục.",
                "The instance in {data} does not wait for a confirmation after a restore.",
            ),
            ("Không cần làm gì.", "There is nothing to do."),
        ),
        _kind(
            "old-key",
            Branch.THEIRS,
            ("Khóa của nhật ký không khớp", "The key of the log does not fit"),
            ("{path} không thuộc nhật ký này: {reason}.", "{path} is not of this log: {reason}."),
            ("Chỉ đúng thư mục khóa của phiên bản này.", "Name the keys of this very instance."),
        ),
        _kind(
            "plain-keys",
            Branch.THEIRS,
            ("Khóa nằm không mã hóa", "The keys lie in the clear"),
            (
                "{count} tệp khóa không được mã hóa; ai có bản sao lưu chứa chúng sẽ mạo danh được trục.",
                "{count} key files are not protected: whoever has a backup with them can pass for the gateway.",
            ),
            (
                "Bảo vệ bằng `lgsp keys protect`, hoặc sao lưu với --without-keys, hoặc chấp nhận bằng --plain-keys.",
                "Protect them with `lgsp keys protect`, leave them out with --without-keys, or say --plain-keys.",
            ),
        ),
        _kind(
            "taken",
            Branch.THEIRS,
            ("Nơi đích đã có dữ liệu", "The place is taken"),
            ("{path} không trống.", "{path} is not empty."),
            (
                "Chọn thư mục trống hoặc chưa có, cơ sở dữ liệu trống.",
                "Name an empty or missing folder, an empty database.",
            ),
        ),
        _kind(
            "unwritable",
            Branch.OURS,
            ("Không ghi được", "It cannot be written"),
            ("Không ghi được {path}: {reason}.", "{path} cannot be written: {reason}."),
            (
                "Kiểm tra quyền và chỗ trống; không có gì dở dang được coi là bản sao.",
                "Check its mode and its room; nothing half-made is taken for a backup.",
            ),
        ),
        _kind(
            "wrong-log",
            Branch.THEIRS,
            ("Nhật ký trong bản sao lưu không đúng", "The log in the backup does not verify"),
            ("Điều sai đầu tiên: {reason}.", "The first thing wrong: {reason}."),
            (
                "Không khôi phục bản này; báo người phụ trách an toàn thông tin.",
                "Do not restore it; tell the security officer.",
            ),
        ),
    ]
)
