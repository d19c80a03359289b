"""What `lgsp restore` says: how the log goes on, what may have gone back in time, and what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

_WHY: Final = {
    "missing": ("entries that were signed are missing", "thiếu những mục đã ký"),
    "unproven": (
        "nothing from outside proves that no signed entry is missing (--checkpoint, or --complete)",
        "không có gì từ bên ngoài chứng minh là đủ (--checkpoint, hoặc --complete)",
    ),
    "key-lost": ("the key of the old log is not here", "không có khóa của nhật ký cũ"),
    "reopened": ("the log was opened anew after this backup", "nhật ký đã được mở mới sau bản sao lưu này"),
}


def lines(done: dict[str, Any]) -> list[str]:
    """`done`: a `Restored` as JSON."""
    from security.grants.windows import civil

    back, made = done["gone_back"], civil(done["made"])
    told = [
        f"{done['held']} entries of {done['before']} verified / đã kiểm tra {done['held']} mục; root {done['root']}"
    ]
    if done["reason"] is None:
        told.append(f"the log goes on as {done['origin']} / nhật ký tiếp tục")
    elif done.get("practice"):
        english, vietnamese = _WHY[done["reason"]]
        told += [
            f"for practice: its log has a name of its own, {done['origin']}; nobody needs to be told"
            " / diễn tập: nhật ký mang tên riêng, không cần báo cho ai",
            f"  in earnest a new log would begin, since {english}"
            f" ({done['held']} are here, {done['signed']} were signed)"
            f" / khi thật sẽ mở nhật ký mới, vì {vietnamese}",
        ]
    else:
        english, vietnamese = _WHY[done["reason"]]
        told += [
            f"A NEW LOG BEGINS / NHẬT KÝ MỚI: {done['origin']}",
            f"  because {english} ({done['held']} are here, {done['signed']} were signed)"
            f" / vì {vietnamese} (còn {done['held']}, đã ký {done['signed']})",
            f"  give everybody its key / gửi khóa mới cho mọi đơn vị: {done['vkey']}",
            *(
                ["  is it for practice? delete it, and say --practice / nếu để diễn tập: xóa, rồi thêm --practice"]
                if done["old_runs"]
                else []
            ),
        ]
    told += [
        f"As it was at {made}; look through it / mọi thứ như lúc {made}, hãy soát lại:",
        f"  registry revision {back['registry']}; {len(back['grants_active'])} grants,"
        f" {len(back['officers_active'])} officers, {back['contracts']} contracts in force"
        f" / sổ đăng ký bản {back['registry']}: {len(back['grants_active'])} quyền, {len(back['officers_active'])}"
        f" cán bộ, {back['contracts']} hợp đồng",
        f"  keys in force / khóa còn hiệu lực: {', '.join(back['keys_active']) or '–'}",
        f"  revoked / đã thu hồi: {', '.join(back['keys_revoked']) or '–'}; whatever was revoked or suspended since"
        " is so no more: do it again"
        " / những gì thu hồi, tạm dừng sau lúc đó phải làm lại",
        f"  suspended / tạm dừng: {', '.join([*back['agencies_suspended'], *back['systems_suspended']]) or '–'}",
        f"  queued, sent again once open / sẽ gửi lại: {back['queued'] - len(back['in_doubt'])}; in doubt"
        f" / chờ xác minh: {', '.join(back['in_doubt']) or '–'}",
        f"  calls under way then / đang xử lý lúc đó: {back['forwarding']}; quotas count from then on"
        " / hạn mức tính từ lúc đó",
    ]
    if done["missing_vault_keys"]:
        told.append(
            "bodies sealed with these keys do not open (restore with --vault-keys DIR or --vault-database ADDRESS)"
            " / thiếu khóa kho nội dung (khôi phục với --vault-keys THƯ-MỤC hoặc --vault-database ĐỊA-CHỈ):"
            f" {', '.join(done['missing_vault_keys'])}"
        )
    if done["missing_keys"]:
        told.append(
            f"keys that are not here; nothing starts without them / thiếu khóa: {', '.join(done['missing_keys'])}"
        )
    if done["old_runs"] and not done.get("practice"):
        told.append(
            "THE INSTANCE OF THE BACKUP STILL RUNS: confirm nothing before it has ended / PHIÊN BẢN CŨ VẪN ĐANG CHẠY"
        )
    return told


def then(data: Path, practice: bool, database: str = "") -> list[str]:
    """`database`: its address, empty for a file in the data folder."""
    if practice:
        from sqlalchemy import make_url

        url = make_url(database).difference_update_query(["password"]) if database else None
        places = str(data) if url is None else f"{data} & {url.render_as_string(hide_password=True)}"
        return [
            f"Look at it, then delete {places}; it cannot be confirmed, and its doors stay closed"
            " / xem xong thì xóa; bản diễn tập không xác nhận được, cửa không mở"
        ]
    return [
        f"The doors stay closed until / cửa đóng cho đến khi: lgsp restore confirm --data {data} --by …"
        " (production: --as PERSON --key FILE)"
    ]
