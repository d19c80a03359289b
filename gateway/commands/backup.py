"""`lgsp backup` and `lgsp restore`: copies of an instance, and going on from one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from contracts.base.times import rfc3339
from gateway.backup import restore as restoring
from gateway.backup import take
from gateway.backup.errors import BACKUP_NOT_HELD, BACKUP_OLD_RUNS
from gateway.backup.manifest import Tick
from gateway.backup.succession import Known
from gateway.commands import given
from gateway.commands.output import Exit, emit, fail
from gateway.commands.progress import progress as shown
from gateway.journal.database import open_engine
from gateway.registry import restore_lock
from gateway.registry.seals.sealing import Seal, changing
from gateway.settings import Settings
from security.grants.windows import civil
from security.transparency.checkpoint import NoteKey

_WHY: Final = {
    "missing": ("entries that were signed are missing", "thiếu những mục đã ký"),
    "unproven": (
        "nothing from outside proves that no signed entry is missing (--checkpoint, or --complete)",
        "không có gì từ bên ngoài chứng minh là đủ (--checkpoint, hoặc --complete)",
    ),
    "key-lost": ("the key of the old log is not here", "không có khóa của nhật ký cũ"),
    "reopened": ("the log was opened anew after this backup", "nhật ký đã được mở mới sau bản sao lưu này"),
}


def make(settings: Settings, folder: Path, keys: bool, plain_keys: bool, vault_keys: bool, as_json: bool) -> None:
    if folder.absolute().is_relative_to(settings.data):
        what = f"{folder} lies in the data folder: it would be lost with it / nằm trong thư mục dữ liệu"
        fail(Exit.USAGE, "inside", what, "Name a folder elsewhere. / Chọn thư mục ở nơi khác.", as_json)
    with _progress(as_json) as tick:
        made, digest, report = take.take(settings, folder, take.Wanted(keys, plain_keys, vault_keys), time.time(), tick)
    result = {
        "ok": report.ok,
        "folder": str(folder),
        "manifest": digest,
        "made": rfc3339(made.made),
        "origin": made.origin,
        "size": made.size,
        "files": len(made.files),
        "bytes": sum(each.size for each in made.files.values()),
        "keys": made.keys,
        "vault_keys_until": None if made.vault_keys_until is None else rfc3339(made.vault_keys_until),
        "first_wrong": report.first_wrong,
    }
    lines = [
        f"{folder}: {result['files']} files, {result['bytes']} bytes; {made.origin}, {made.size} entries"
        f" / đã sao lưu {result['files']} tệp, {result['bytes']} byte, {made.size} mục nhật ký",
        "the log within verifies / nhật ký trong bản sao đúng"
        if report.ok
        else f"FIRST WRONG / SAI: {report.first_wrong}",
    ]
    if made.keys == "plain":
        lines.append(
            "its keys lie in the clear: whoever has it can pass for the gateway / khóa không mã hóa: ai có bản sao này mạo danh được trục"
        )
    if made.vault_keys_until is not None:
        lines.append(f"destroy {take.VAULT_KEYS}/ before / hủy {take.VAULT_KEYS}/ trước {result['vault_keys_until']}")
    else:
        lines.append("without the keys of stored bodies / không có khóa kho nội dung (docs/operating.md)")
    emit(result, as_json, "\n".join(lines))


def check(folder: Path, vkey: str | None, checkpoints: Sequence[Path], as_json: bool) -> None:
    notes = [each.note for each in _known(checkpoints, as_json)]
    with _progress(as_json) as tick:
        made, report = take.check(folder, _key(vkey, as_json), notes, tick)
    overdue = made.vault_keys_until is not None and made.vault_keys_until < time.time()
    result = {
        "ok": report.ok,
        "made": rfc3339(made.made),
        "version": made.version,
        "database": made.database,
        "revision": made.revision,
        "origin": made.origin,
        "size": report.size,
        "root": report.root,
        "files": len(made.files),
        "checked": report.checked,
        "first_wrong": report.first_wrong,
        "keys": made.keys,
        "vault_keys_overdue": overdue,
        "trusted_key": "given" if vkey is not None else "from the backup itself",
    }
    lines = [
        f"{folder}: made {civil(made.made)}, {len(made.files)} files as the manifest states; {made.origin}, {report.size} entries"
        f" / lập lúc {civil(made.made)}, {len(made.files)} tệp đúng như bản kê, {report.size} mục nhật ký",
        "the log within verifies / nhật ký trong bản sao đúng"
        if report.ok
        else f"FIRST WRONG / SAI: {report.first_wrong}",
    ]
    if vkey is None:
        lines += [
            "note: checked with the key that lies in the backup; give --vkey with one kept outside to trust the result",
            "      đã kiểm tra bằng khóa nằm ngay trong bản sao; hãy dùng --vkey với khóa giữ ở ngoài",
        ]
    if overdue:
        lines.append(f"{take.VAULT_KEYS}/ is past its date: destroy it / đã quá hạn: hãy hủy")
    emit(result, as_json, "\n".join(lines))


def restore(
    folder: Path,
    data: Path,
    database: str,
    checkpoints: Sequence[Path],
    vkey: str | None,
    complete: bool,
    keys: Path | None,
    vault_keys: Path | None,
    origin: str,
    as_json: bool,
) -> None:
    asked = restoring.Asked(
        data=data,
        database=database.replace("postgresql://", "postgresql+psycopg://", 1),
        outside=tuple(_known(checkpoints, as_json)),
        vkey=_key(vkey, as_json),
        complete=complete,
        vault_keys=vault_keys,
        keys=keys,
        origin=origin,
    )
    with _progress(as_json) as tick:
        done = restoring.restore(folder, asked, time.time(), tick)
    emit(
        {"ok": True, "data": str(data), "doors": "closed", **asdict(done)},
        as_json,
        "\n".join([f"restored to / đã khôi phục vào {data}", *_told(asdict(done)), *_then(data)]),
    )


def confirm(settings: Settings, by: str, although_it_runs: bool, as_json: bool) -> None:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        found = restore_lock.newest_restore(connection)
    if found is None or found["confirmed"]:
        raise BACKUP_NOT_HELD(data=settings.data)
    restored = found["backup"]
    runs = restoring.runs_beside(restored.get("old", ""), settings.data)
    restored["old_runs"] = runs
    lines = _told(restored)
    if not by:
        emit({"ok": False, "confirmed": False, **restored}, as_json, "\n".join([*lines, *_then(settings.data)]))
    if runs and not although_it_runs:
        raise BACKUP_OLD_RUNS(old=restored["old"])
    facts: dict[str, Any] = {"backup": restored["backup"], **({"although": "the old instance runs"} if runs else {})}
    with changing(engine, Seal.of(settings)) as act:
        opens = restore_lock.confirm(act.connection)
        act.note("restore-confirmed", facts, time.time(), actor=by)
    assert opens is not None
    lines.append(f"confirmed by / người xác nhận: {by}; the doors open at / cửa mở lúc {civil(opens)}")
    emit({"ok": True, "confirmed": True, "opens": rfc3339(opens), **restored}, as_json, "\n".join(lines))


def _told(done: dict[str, Any]) -> list[str]:
    back, made = done["gone_back"], civil(done["made"])
    lines = [
        f"{done['held']} entries of {done['before']} verified / đã kiểm tra {done['held']} mục; root {done['root']}"
    ]
    if done["reason"] is None:
        lines.append(f"the log goes on as {done['origin']} / nhật ký tiếp tục")
    else:
        english, vietnamese = _WHY[done["reason"]]
        lines += [
            f"A NEW LOG BEGINS / NHẬT KÝ MỚI: {done['origin']}",
            f"  because {english} ({done['held']} are here, {done['signed']} were signed) / vì {vietnamese} (còn {done['held']}, đã ký {done['signed']})",
            f"  give everybody its key / gửi khóa mới cho mọi đơn vị: {done['vkey']}",
        ]
    lines += [
        f"As it was at {made}; look through it / mọi thứ như lúc {made}, hãy soát lại:",
        f"  registry revision {back['registry']}; {len(back['grants_active'])} grants, {len(back['officers_active'])} officers, {back['contracts']} contracts in force"
        f" / sổ đăng ký bản {back['registry']}: {len(back['grants_active'])} quyền, {len(back['officers_active'])} cán bộ, {back['contracts']} hợp đồng",
        f"  keys in force / khóa còn hiệu lực: {', '.join(back['keys_active']) or '–'}",
        f"  revoked / đã thu hồi: {', '.join(back['keys_revoked']) or '–'}; whatever was revoked or suspended since is so no more: do it again"
        " / những gì thu hồi, tạm dừng sau lúc đó phải làm lại",
        f"  suspended / tạm dừng: {', '.join([*back['agencies_suspended'], *back['systems_suspended']]) or '–'}",
        f"  queued, sent again once open / sẽ gửi lại: {back['queued'] - len(back['in_doubt'])}; in doubt / chờ xác minh: {', '.join(back['in_doubt']) or '–'}",
        f"  calls under way then / đang xử lý lúc đó: {back['forwarding']}; quotas count from then on / hạn mức tính từ lúc đó",
    ]
    if done["missing_vault_keys"]:
        lines.append(
            f"bodies sealed with these keys do not open / thiếu khóa kho nội dung: {', '.join(done['missing_vault_keys'])}"
        )
    if done["missing_keys"]:
        lines.append(
            f"keys that are not here; nothing starts without them / thiếu khóa: {', '.join(done['missing_keys'])}"
        )
    if done["old_runs"]:
        lines.append(
            "THE INSTANCE OF THE BACKUP STILL RUNS: confirm nothing before it has ended / PHIÊN BẢN CŨ VẪN ĐANG CHẠY"
        )
    return lines


def _then(data: Path) -> list[str]:
    return [f"The doors stay closed until / cửa đóng cho đến khi: lgsp restore confirm --data {data} --by …"]


def _known(files: Sequence[Path], as_json: bool) -> list[Known]:
    return [Known(str(path), given.checkpoint(path, as_json)) for path in files]


def _key(text: str | None, as_json: bool) -> NoteKey | None:
    return None if text is None else given.log_key(text, as_json)


@contextmanager
def _progress(as_json: bool) -> Iterator[Tick]:
    with shown(as_json, "share") as progress:
        tasks: dict[str, int] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tick
