"""`lgsp witness`: a small witness of transparency logs (C2SP tlog-witness), which needs no instance."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common.options import AsJson
from gateway.cli.common.output import Exit, emit, fail, say

if TYPE_CHECKING:
    import ssl

commands = typer.Typer(
    no_args_is_help=True, help="A witness of transparency logs: its key, the logs that it knows, and its server."
)
WitnessFolder = Annotated[
    Path,
    typer.Option("--data", help="Folder of the witness: its key, and what it cosigned. Not the folder of an instance."),
]


@commands.command("key")
def witness_key(
    data: WitnessFolder,
    as_json: AsJson = False,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the witness, like an address without its scheme; makes the key."),
    ] = None,
) -> None:
    """Make the witness's key, or show the verifier key of the one that there is: whoever asks this witness is given
    that line."""
    from gateway.witness.state import BadFolder, Folder

    folder = Folder(data.absolute())
    with _failures(as_json):
        if name is not None and not folder.key_file.exists():
            created = folder.make_key(name)
            emit({"ok": True, "vkey": created.text(), "name": created.name, "made": True}, as_json, created.text())
        own_key, _ = folder.key()
        if name is not None and name != own_key.name:
            raise BadFolder(
                f"{folder.key_file} is the key of {own_key.name}: a witness keeps its key and its name for life"
            )
        emit({"ok": True, "vkey": own_key.text(), "name": own_key.name, "made": False}, as_json, own_key.text())


@commands.command("add-log")
def witness_add_log(vkey: str, data: WitnessFolder, as_json: AsJson = False) -> None:
    """Cosign for a log from now on: VKEY is its verifier key (`log/log.vkey` of an instance), or a file that holds
    it."""
    from gateway.witness.state import Folder

    with _failures(as_json):
        folder = Folder(data.absolute())
        folder.key()
        path = Path(vkey)
        held = folder.add_log(path.read_text("utf-8").strip() if "+" not in vkey or path.is_file() else vkey)
        emit(
            {"ok": True, "origin": held.origin, "keys": held.vkeys},
            as_json,
            f"{held.origin}: {len(held.vkeys)} key(s) / khóa",
        )


@commands.command("status")
def witness_status(data: WitnessFolder, as_json: AsJson = False) -> None:
    """The logs that this witness knows, the size up to which each is cosigned, and what it holds against them."""
    from gateway.witness.state import Folder
    from security.grants.windows import civil

    with _failures(as_json):
        folder = Folder(data.absolute())
        own_key, _ = folder.key()
        logs: list[dict[str, Any]] = []
        for held in folder.all():
            point = held.checkpoint
            at = datetime.fromtimestamp(held.time, UTC).isoformat() if point is not None else None
            logs.append(
                {"origin": held.origin, "keys": held.vkeys, "size": point.size if point is not None else 0, "at": at}
            )
        objections = [str(each) for each in folder.objections()]
        lines = [own_key.text(), *(f"  {each['origin']}: {each['size']} ({civil(each['at'] or '—')})" for each in logs)]
        lines += [f"  !! {each}" for each in objections]
        emit(
            {"ok": not objections, "vkey": own_key.text(), "logs": logs, "objections": objections},
            as_json,
            "\n".join(lines),
        )


@commands.command("run")
def witness_run(
    data: WitnessFolder,
    listen: Annotated[str, typer.Option("--listen", help="Address to listen on, as host:port.")] = "127.0.0.1:7380",
    as_json: AsJson = False,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="Serve TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key (PEM).")] = None,
) -> None:
    """Serve `POST /add-checkpoint` until Ctrl-C or SIGTERM."""
    import asyncio
    import ssl

    from contracts.base.integers import whole_number
    from gateway import hardening
    from gateway.witness.judge import Judge
    from gateway.witness.state import Folder

    host, _, port = listen.rpartition(":")
    if not host or whole_number(port, 65535) is None:
        fail(
            Exit.USAGE,
            "bad-address",
            f"{listen!r} is not host:port / không phải host:port",
            "As in 127.0.0.1:7380. / Ví dụ 127.0.0.1:7380.",
            as_json,
        )
    if (tls_certificate is None) != (tls_key is None):
        what = "TLS needs both its certificate and its key / TLS cần cả chứng thư và khóa"
        fail(Exit.USAGE, "half-tls", what, "Give --tls-certificate and --tls-key. / Ghi cả hai tùy chọn.", as_json)
    from gateway.signals import lines
    from gateway.witness.server import PATH  # what the other commands need not load
    from gateway.witness.server import run as serve

    hardening.leave_no_cores()
    lines.set_up("witness", lines.TEXT)
    with _failures(as_json):
        judge = Judge(Folder(data.absolute()), time.time)
        tls: ssl.SSLContext | None = None
        if tls_certificate is not None and tls_key is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
            tls.load_cert_chain(tls_certificate, tls_key)

        def ready(taken: int) -> None:
            address = f"http{'s' if tls is not None else ''}://{host}:{taken}"
            text = (
                json.dumps({"ok": True, "address": address, "vkey": judge.key.text()})
                if as_json
                else f"{address} {judge.key.text()}"
            )
            say(text, flush=True)

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
def _failures(as_json: bool) -> Iterator[None]:
    from gateway.witness.state import BadFolder
    from security.transparency.checkpoint import NoteError

    try:
        yield
    except BadFolder as trouble:
        what_next = (
            "Make a key with `lgsp witness key --name NAME`, or name another folder."
            " / Tạo khóa bằng lệnh này, hoặc chọn thư mục khác."
        )
        fail(Exit.USAGE, "bad-folder", f"{trouble} / thư mục của bên chứng kiến không dùng được", what_next, as_json)
    except NoteError as trouble:
        what_next = "A key is one line like NAME+HASH+BASE64. / Khóa là một dòng dạng TÊN+MÃ+BASE64."
        fail(Exit.USAGE, "bad-key", f"{trouble} / khóa không hợp lệ", what_next, as_json)
