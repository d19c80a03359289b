"""`lgsp up`, `lgsp doctor`: running an instance, and looking at it."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from contracts.base.words import Words
from gateway.cli.common.options import AsJson, Data, load_instance, load_settings
from gateway.cli.common.output import Exit, bad_setting, emit, fail, failed, failures_as_exits, say, told
from gateway.cli.common.persons import check_files

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.doctor.findings import Finding
    from gateway.processes.supervised import NotStarted
    from gateway.settings import Settings

top = typer.Typer()
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT})  # a data folder
_RESTORED = (
    "Phiên bản được khôi phục từ bản sao lưu: cửa đóng cho đến khi có người xác nhận."
    " / Restored from a backup: the doors stay closed until somebody confirms.\n"
    "  lgsp restore confirm --data {data}"
)
_PRACTICE = (
    "Phiên bản được khôi phục để diễn tập: cửa không bao giờ mở. Xem xong thì dừng và xóa {data}, và"
    " cơ sở dữ liệu nếu dùng PostgreSQL. / Restored for practice: the doors never open. Look at it, then stop it and"
    " delete {data}, and a PostgreSQL database."
)

_ADOPTED = (
    "Tuyến đã có trở thành quyền nhận, chờ hai cán bộ xác nhận trong 30 ngày: {grants}"
    " / Routes in force became grants to receive, to be confirmed by two officers within 30 days: {grants}\n"
    "  lgsp access list --data {data}"
)


@top.command()
def up(
    data: Data = None,
    as_json: AsJson = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Sandbox: leave out a stand-in system, or `traffic`.")
    ] = None,
    join: Annotated[
        Path | None,
        typer.Option(
            "--join",
            help="Make no instance: where there is none, join by this invitation (`machine invite`), or by the one of "
            "this machine's name in this folder.",
        ),
    ] = None,
) -> None:
    """Run an instance; make a sandbox with a whole province first, if there is none."""
    import math

    from gateway.audit.witnessing.config import anchors_of, witnesses_of
    from gateway.cli.tree import commands
    from gateway.hardening import private_files
    from gateway.journal.database import migrate, open_engine, snapshot
    from gateway.journal.schema import comparison
    from gateway.machines import keeping, own
    from gateway.processes import desk_certificate
    from gateway.processes.sockets import check_ports
    from gateway.processes.supervised import NotStarted, check_standins, sandbox_children
    from gateway.processes.supervisor import Supervisor
    from gateway.registry import identity
    from gateway.registry.changes.adopting import adopt_content, adopt_receiving
    from gateway.registry.restore_lock import held_until
    from gateway.registry.seals import account_rows, accounts
    from gateway.registry.seals.sealing import Seal, adopt
    from gateway.sandbox import live
    from gateway.sandbox.instance import FolderTaken, refresh
    from gateway.settings import BadSetting

    settings = load_settings(data, as_json)
    if join is not None and not settings.is_made:
        settings = _joined(settings, join, as_json)
    left_out = frozenset(without or ())
    names = (*live.STANDINS, *live.AGENTS, live.TRAFFIC_NAME)
    unknown = left_out - {*names}
    if unknown:
        known = ", ".join(names)
        fail(
            Exit.USAGE,
            "unknown-standin",
            f"there is no stand-in {', '.join(sorted(unknown))} / không có hệ thống giả lập này",
            f"There are / Đang có: {known}",
            as_json,
        )
    try:
        if not settings.is_made:
            check_ports(settings)
        ensure_instance(settings)
    except NotStarted as trouble:
        failed(Exit.OURS, trouble, as_json)
    except FolderTaken as trouble:
        fail(
            Exit.USAGE,
            "folder-taken",
            f"no instance can be made beside what lies in {trouble}"
            f" / không tạo được phiên bản cạnh những gì đang có tại {trouble}",
            "Name an empty folder with --data (settings.yaml may lie in it)."
            " / Chỉ một thư mục trống bằng --data (có thể có sẵn settings.yaml).",
            as_json,
        )
    except OSError as trouble:
        if trouble.errno not in _UNWRITABLE:
            raise
        fail(
            Exit.USAGE,
            "folder-unwritable",
            f"no instance can be made in {settings.data}: {trouble.strerror}"
            f" / không tạo được phiên bản tại {settings.data}",
            "Name a folder that you may write to with --data, or by LGSP_DATA."
            " / Chỉ một thư mục mà bạn được ghi bằng --data, hoặc bằng LGSP_DATA.",
            as_json,
        )
    check_files(settings, as_json)
    try:
        witnesses_of(settings), anchors_of(settings)
    except BadSetting as trouble:
        bad_setting(trouble, as_json)
    began = time.monotonic()

    def ready() -> None:
        if as_json:
            say(json.dumps({"ok": True, **addresses(settings)}), flush=True)
        else:
            _welcome(settings, time.monotonic() - began)

    beside = sandbox_children(settings, left_out) if settings.live and settings.kind == "sandbox" else ()
    supervisor = Supervisor(
        settings,
        on_ready=ready,
        extra=beside,
        loaded=() if all(each.takes_settings for each in beside) else (commands,),  # agents are started by theirs
    )
    try:
        with alone(settings, NotStarted):
            if beside:
                check_standins(settings, left_out)
            engine = open_engine(settings.database_url)
            migrate(engine, _migrating)  # an instance of an older release takes the tables of this one
            comparison.check(engine)
            identity.check(engine, settings)
            with failures_as_exits(as_json):
                own.take_place(settings, engine, time.time)
                keeping.catch_up(settings, engine)
            seal = Seal.of(settings)
            adopt(engine, seal, time.time())  # an instance of an older release
            account_rows.adopt(engine, accounts.Seal.of(settings), time.time())  # the same
            adopted = adopt_receiving(engine, seal, time.time())  # the same
            adopt_content(engine, seal, time.time())  # the same
            if adopted:
                _say(_ADOPTED.format(grants=", ".join(adopted), data=settings.data))
            with snapshot(engine) as connection:
                seal.check(connection)
                if held_until(connection) == math.inf:
                    _say(restored_words(connection, settings.data))
            with private_files():
                refresh(settings, time.time())
                if settings.has("desk"):
                    desk_certificate.ensure(settings, engine, time.time())
            supervisor.run()
            removed = own.removed(settings, engine)
    except NotStarted as trouble:
        failed(Exit.OURS, trouble, as_json)
    if removed is not None:
        _say("\n".join(told(removed)))
    _say("Đã dừng; dữ liệu còn nguyên. / Stopped; the data are kept.")


@top.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Look at an instance without changing it: files and keys, certificates, addresses, proxies, database, disk; say
    what is weak, why, and what to do."""
    from gateway.doctor import examined
    from gateway.doctor.findings import kinds

    settings = load_instance(data, as_json)
    every, usual = examined(settings, time.time)
    grave = sum(each.kind.grave for each in every)
    listed = [each.shown() for each in every]
    lines = [_lines(each) for each in every]
    lines.append(
        f"{grave} nghiêm trọng, {len(every) - grave} nên sửa, trong {len(kinds())} điều được xét / "
        f"{grave} grave, {len(every) - grave} to be mended, of {len(kinds())} things looked for"
    )
    if usual:
        names = ", ".join(each.kind.code for each in usual)
        lines.append(f"Bình thường khi thử nghiệm, phải sửa khi vận hành / Normal in a sandbox only: {names}")
    result = {"ok": not grave, "grave": grave, "findings": listed, "usual": [each.shown() for each in usual]}
    emit({**result, "looked_for": sorted(kinds())}, as_json, "\n".join(lines))


def restored_words(connection: Connection, data: Path) -> str:
    """Why the doors of a restored instance are closed, and what to do. One for practice is never confirmed."""
    from gateway.registry.restore_lock import newest_restore

    practice = (newest_restore(connection) or {}).get("backup", {}).get("practice")
    return (_PRACTICE if practice else _RESTORED).format(data=data)


def ensure_instance(settings: Settings, say_progress: bool = True) -> None:
    """The instance of these settings, made if there is none. Progress goes to standard error."""
    from gateway.sandbox import live
    from gateway.sandbox.instance import make_instance

    if settings.is_made:
        return
    if say_progress:
        _say(
            f"Tạo phiên bản {settings.kind} tại {settings.data} …"
            f" / Making a {settings.kind} instance in {settings.data} …"
        )
    sandbox = settings.kind == "sandbox"
    make_instance(settings, live.choose_endpoints(settings) if sandbox else {}, time.time(), province=sandbox)


def _joined(settings: Settings, file: Path, as_json: bool) -> Settings:
    """The settings of this machine, which joins by the invitation. Without one the start fails, to be tried again."""
    from gateway.cli.common.joining import join
    from gateway.machines.join import Wanted
    from gateway.machines.records import name_of

    if file.is_dir():
        file /= name_of(settings)
    if not file.is_file():
        what = f"{settings.data} holds no instance, and {file} no invitation / chưa có phiên bản và chưa có lời mời"
        then = f"On a machine that runs / Trên máy đang chạy: lgsp machine invite NAME --out {file}"
        fail(Exit.OURS, "not-joined", what, then, as_json)
    own = {"secret_file": settings.secret_file} if settings.secret_file else {}
    made = join(file, Wanted(settings.data, own, settings.database), as_json)
    _say(f"{made.machine}: {settings.data} ← {file}")
    return load_settings(settings.data, as_json)


def _migrating(found: str, newest: str) -> None:
    _say(
        f"Đang đưa cơ sở dữ liệu từ phiên bản {found} lên {newest}; nếu bị ngắt, mọi thứ còn nguyên và làm lại lần"
        " sau. / "
        f"Bringing the database from revision {found} to {newest}; if that is cut short, all is as it was and is"
        " done at the next start."
    )


@contextmanager
def alone(settings: Settings, refusal: type[NotStarted] | None = None) -> Iterator[None]:
    """One `up` a data folder. The lock is this process's and ends with it, however it ends; a second `up` touches
    nothing. Raises `refusal`, or `Running`."""
    import fcntl

    from gateway.processes.supervised import Running
    from gateway.processes.supervisor import PID

    settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(settings.run, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise (refusal or Running)(
                Words(
                    f"phiên bản tại {settings.data} đang chạy", f"the instance in {settings.data} is running already"
                ),
                Words(
                    "Hãy dừng nó trước, hoặc chỉ thư mục khác bằng --data.",
                    "Stop it first, or name another folder with --data.",
                ),
            ) from None
        (settings.run / PID).unlink(missing_ok=True)  # of one that was killed: it may be somebody else's by now
        yield
    finally:
        os.close(folder)


def addresses(settings: Settings) -> dict[str, str]:
    return {
        "exchange": settings.base,
        "desk": settings.desk,
        "contracts": f"{settings.base}/contracts",
        **({"identities": str(settings.identities)} if settings.identities.is_dir() else {}),
        "data": str(settings.data),
    }


def _welcome(settings: Settings, seconds: float) -> None:
    say(
        f"""
  {settings.name} · {seconds:.1f} s

  Trang quản trị / console              {_console(settings)}
  Danh mục hợp đồng / contracts         {settings.desk_named}/contracts   ({settings.base}/contracts)
  REST, SOAP (TLS, chứng thư/certificate) {settings.base}
{"".join(f"{each}{chr(10)}" for each in bound_elsewhere(settings))}\
  Dữ liệu / data                        {_short(settings.data)}/

{_to_try(settings) if settings.kind == "sandbox" else _what_next()}  Ctrl-C để dừng / to stop
""",
        flush=True,
    )


def bound_elsewhere(settings: Settings) -> list[str]:
    """What the operator has to see to where systems call another port than the one that is bound."""
    called = urlsplit(settings.base)
    port = called.port or 443
    if settings.kind == "sandbox" or not settings.has("door") or port == settings.exchange_port:
        return []
    if settings.edge_port or settings.edge_socket:  # a proxy leads there
        return []
    bound = f"{settings.host}:{settings.exchange_port}"
    return [
        f"  Lắng nghe ở {bound}: cổng mạng {port} của {called.hostname} phải dẫn tới đó / listens on {bound}: let port"
        f" {port} of {called.hostname} lead there (docs/operating.md#settings)"
    ]


def _console(settings: Settings) -> str:
    """In a sandbox a link that signs in once."""
    if settings.kind != "sandbox":
        return settings.desk_named
    from gateway.sandbox import people

    return people.console_link(settings, time.time())


def _to_try(settings: Settings) -> str:
    identities = _short(settings.identities)
    if not settings.identities.is_dir():
        where = "ở máy đã tạo môi trường / test identities: on the machine where the sandbox was made"
        return f"  Danh tính thử nghiệm {where}\n\n"
    question = "/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3"
    return f"""  Danh tính thử nghiệm / test identities {identities}/

  Lời gọi đầu tiên / first call:
    {_lgsp()} client call --identity {identities}/y-te GET '{question}'

{_plainly(settings)}"""


def _what_next() -> str:
    return """  Việc còn phải làm / what is left to do: lgsp doctor
  Thêm đơn vị, hệ thống / add agencies, systems: lgsp registry apply · lgsp enrol (docs/operating.md)

"""


def _plainly(settings: Settings) -> str:
    """How a system that cannot sign calls: through the agent beside it."""
    from gateway.sandbox import agents, live

    return "".join(
        f"  Không ký được / cannot sign (docs/agent.md): {each.local} → Lgsp-Agent-Secret: {_short(each.secret)}\n\n"
        for each in agents.beside(settings)
        if each.system in live.AGENTS
    )


def _lgsp() -> str:
    """The command as it can be called from here: the script of a checkout, or the installed one."""
    script = Path(__file__).parents[2] / "lgsp"
    if not script.is_file():
        return "lgsp"
    short = _short(script)
    return short if "/" in short else f"./{short}"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _say(text: str) -> None:
    say(text, to=sys.stderr, flush=True)


def _lines(each: Finding) -> str:
    mark = "!!" if each.kind.grave else " ~"
    lines = [f"{mark} {each.kind.code}"]
    for language in ("vi", "en"):
        words = each.words(language)
        lines.append(f"     {words['what']}. {words['why']}\n       → {words['next']}")
    return "\n".join(lines)
