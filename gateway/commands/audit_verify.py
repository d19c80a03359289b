"""`lgsp audit verify`: the same check for the database, for an export and over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.audit.folder import FolderSource
from gateway.audit.remote import RemoteSource
from gateway.audit.sources import DatabaseSource, Source
from gateway.audit.verify import Report, verify
from gateway.commands.audit import kept_note, progress_bar, trusted_key
from gateway.commands.audit_remote import Place, remote, told
from gateway.commands.output import emit
from gateway.journal.database import open_engine
from gateway.keyring import Keyring
from gateway.settings import Settings
from security.checkpoint import NoteKey

_OWN = {
    "instance": "note: checked with the key that lies in the instance; give --vkey with one kept outside to trust the result\n"
    "      đã kiểm tra bằng khóa nằm ngay trong phiên bản; hãy dùng --vkey với khóa giữ ở ngoài",
    "export": "note: checked with the key that lies in the export; give --vkey with one that came another way to trust the result\n"
    "      đã kiểm tra bằng khóa nằm ngay trong bản xuất; hãy dùng --vkey với khóa nhận bằng đường khác",
}


class Asked:
    """What is asked, whatever the source: range, origin, kept checkpoints."""

    def __init__(self, origin: str | None, kept: Sequence[Path], first: int | None, last: int | None, as_json: bool) -> None:
        self.origin = origin
        self.outside = [(f"the kept checkpoint {path.name}", kept_note(path, as_json)) for path in kept]
        self.first = first
        self.last = last
        self.as_json = as_json


def of_database(settings: Settings, vkey: str | None, asked: Asked) -> None:
    """Without `--vkey` the instance's own copy is used, and the result says so: that proves only that it agrees with itself."""
    key = trusted_key(vkey if vkey is not None else str(Keyring(settings).log_vkey), asked.as_json)
    if settings.checkpoint_file.exists():  # read before the database, which is never behind it
        asked.outside.insert(0, ("the checkpoint beside the database", settings.checkpoint_file.read_text("utf-8")))
    asked.origin = asked.origin or settings.origin
    with open_engine(settings.database_url).connect() as connection:
        _check(DatabaseSource(connection), key, asked, "instance" if vkey is None else None)


def of_export(folder: Path, vkey: str | None, asked: Asked) -> None:
    with told(asked.as_json):
        source = FolderSource(folder)
        key = trusted_key(vkey if vkey is not None else source.key(), asked.as_json)
        _check(source, key, asked, "export" if vkey is None else None)


def over_http(place: Place, asked: Asked) -> None:
    with remote(place, asked.as_json) as (found, key):
        _check(RemoteSource(found), key, asked, None)


def _check(source: Source, key: NoteKey, asked: Asked, own: str | None) -> None:
    origin = asked.origin or key.name
    with progress_bar(asked.as_json) as progress:
        task = progress.add_task(source.what, total=None)
        report = verify(
            source,
            key,
            origin=origin,
            outside=asked.outside,
            first=asked.first,
            last=asked.last,
            on_progress=lambda done: progress.update(task, completed=done),
        )
    _say(report, source.what, origin, own, asked.as_json)


def _say(report: Report, what: str, origin: str, own: str | None, as_json: bool) -> None:
    result: dict[str, Any] = {
        "ok": report.ok,
        "origin": origin,
        "size": report.size,
        "root": report.root,
        "checked": report.checked,
        "first_wrong": report.first_wrong,
        "wrong": list(report.wrong),
        "notes": list(report.notes),
        "trusted_key": "given" if own is None else f"from the {own} itself",
    }
    empty = not report.size and not report.checked["checkpoints"]
    said = (
        "the log is empty, there was nothing to check / nhật ký trống"
        if empty
        else "all agree with the signed checkpoint / khớp với điểm kiểm tra đã ký"
    )
    lines = [
        f"{what}: log of {origin}, {report.size} entries, root {report.root}",
        *(f"  {name}: {count}" for name, count in report.checked.items()),
        *(f"  {text}" for text in report.notes),
        said if report.ok else f"FIRST WRONG / SAI ĐẦU TIÊN: {report.first_wrong}",
        *(f"  then / tiếp theo: {text}" for text in report.wrong[1:]),
    ]
    if not report.ok:
        lines.append(
            "Leave the data as they are, and tell the security officer. / Giữ nguyên dữ liệu và báo người phụ trách an toàn thông tin."
        )
    if own is not None:
        lines.append(_OWN[own])
    emit(result, as_json, "\n".join(lines))
