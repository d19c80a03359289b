"""`lgsp witness`: key, add-log, status, run."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.base.integers import whole_number
from gateway import hardening
from gateway.commands.output import Exit, emit, fail
from gateway.processes import child
from gateway.witness.judge import Judge
from gateway.witness.state import BadFolder, Folder
from security.grants.windows import civil
from security.transparency.checkpoint import NoteError


def key(data: Path, name: str | None, as_json: bool) -> None:
    folder = Folder(data.absolute())
    with _told(as_json):
        if name is not None and not folder.key_file.exists():
            made = folder.make_key(name)
            emit({"ok": True, "vkey": made.text(), "name": made.name, "made": True}, as_json, made.text())
        found, _ = folder.key()
        if name is not None and name != found.name:
            raise BadFolder(
                f"{folder.key_file} is the key of {found.name}: a witness keeps its key and its name for life"
            )
        emit({"ok": True, "vkey": found.text(), "name": found.name, "made": False}, as_json, found.text())


def add_log(data: Path, vkey: str, as_json: bool) -> None:
    with _told(as_json):
        folder = Folder(data.absolute())
        folder.key()
        path = Path(vkey)
        held = folder.add_log(path.read_text("utf-8").strip() if "+" not in vkey or path.is_file() else vkey)
        emit(
            {"ok": True, "origin": held.origin, "keys": held.vkeys},
            as_json,
            f"{held.origin}: {len(held.vkeys)} key(s) / khóa",
        )


def status(data: Path, as_json: bool) -> None:
    with _told(as_json):
        folder = Folder(data.absolute())
        found, _ = folder.key()
        logs: list[dict[str, Any]] = []
        for held in folder.all():
            point = held.checkpoint
            at = datetime.fromtimestamp(held.time, UTC).isoformat() if point is not None else None
            logs.append(
                {"origin": held.origin, "keys": held.vkeys, "size": point.size if point is not None else 0, "at": at}
            )
        objections = [str(each) for each in folder.objections()]
        lines = [found.text(), *(f"  {each['origin']}: {each['size']} ({civil(each['at'] or '—')})" for each in logs)]
        lines += [f"  !! {each}" for each in objections]
        emit(
            {"ok": not objections, "vkey": found.text(), "logs": logs, "objections": objections},
            as_json,
            "\n".join(lines),
        )


def run(data: Path, listen: str, certificate: Path | None, private: Path | None, as_json: bool) -> None:
    host, _, port = listen.rpartition(":")
    if not host or whole_number(port, 65535) is None:
        fail(
            Exit.USAGE,
            "bad-address",
            f"{listen!r} is not host:port / không phải host:port",
            "As in 127.0.0.1:7380. / Ví dụ 127.0.0.1:7380.",
            as_json,
        )
    if (certificate is None) != (private is None):
        what = "TLS needs both its certificate and its key / TLS cần cả chứng thư và khóa"
        fail(Exit.USAGE, "half-tls", what, "Give --tls-certificate and --tls-key. / Ghi cả hai tùy chọn.", as_json)
    from gateway.witness.server import PATH  # what the other commands need not load
    from gateway.witness.server import run as serve

    hardening.leave_no_cores()
    child.set_up_logging()
    with _told(as_json):
        judge = Judge(Folder(data.absolute()), time.time)
        tls: ssl.SSLContext | None = None
        if certificate is not None and private is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
            tls.load_cert_chain(certificate, private)

        def ready(taken: int) -> None:
            address = f"http{'s' if tls is not None else ''}://{host}:{taken}"
            text = (
                json.dumps({"ok": True, "address": address, "vkey": judge.key.text()})
                if as_json
                else f"{address} {judge.key.text()}"
            )
            print(text, flush=True)

        try:
            asyncio.run(serve(judge, host.strip("[]"), int(port), tls, ready))
        except OSError as trouble:
            what = f"{listen} cannot be listened on: {trouble.strerror} / không lắng nghe được tại địa chỉ này"
            fail(
                Exit.OURS,
                "not-started",
                what,
                f"Is another program there? It would serve {PATH}. / Có chương trình khác ở đó không?",
                as_json,
            )


@contextmanager
def _told(as_json: bool) -> Iterator[None]:
    try:
        yield
    except BadFolder as trouble:
        what_next = "Make a key with `lgsp witness key --name NAME`, or name another folder. / Tạo khóa bằng lệnh này, hoặc chọn thư mục khác."
        fail(Exit.USAGE, "bad-folder", f"{trouble} / thư mục của bên chứng kiến không dùng được", what_next, as_json)
    except NoteError as trouble:
        what_next = "A key is one line like NAME+HASH+BASE64. / Khóa là một dòng dạng TÊN+MÃ+BASE64."
        fail(Exit.USAGE, "bad-key", f"{trouble} / khóa không hợp lệ", what_next, as_json)
