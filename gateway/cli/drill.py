"""`lgsp drill`: tries what an instance would lose, and how long it would take, without touching it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail, say
from gateway.cli.common.progress import shares

if TYPE_CHECKING:
    from gateway.drills.failover import Result as Failover
    from gateway.drills.failover import Stage
    from gateway.drills.restoring import Result
    from gateway.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Drills: what would be lost, and how long it would take.")


_INTERRUPTED = 130  # as after SIGINT
_NUMBERED = "DRILL-ID"  # in a message: its number, or each would be a repeat of the first
_WAITED = {
    "calls": ("until calls are acknowledged again", "để cuộc gọi được nhận lại"),
    "keeper": ("until another keeper leads", "để tiến trình giữ nhật ký khác dẫn"),
    "database": ("until the database answers", "để cơ sở dữ liệu trả lời"),
    "feed": ("until what was acknowledged is in its feed", "để điều đã nhận có trong luồng dữ liệu"),
}


class What(StrEnum):
    KEEPER = "keeper"
    DOOR = "door"
    MACHINE = "machine"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Places:
    """What the restored copy is made of, and where it lies for the time of the drill."""

    vkey: Annotated[
        str | None,
        typer.Option(
            "--vkey", help="Trusted verifier key of the log, or a file that holds it; else that of the instance."
        ),
    ] = None
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="A folder `keys` kept elsewhere, where the backup was made without them."),
    ] = None
    database: Annotated[
        str,
        typer.Option(
            "--database", help="Address of an empty PostgreSQL database; else one is made beside the instance's."
        ),
    ] = ""
    work: Annotated[
        Path | None,
        typer.Option("--work", help="A folder with room for the copy; else the data folder. All of it is removed."),
    ] = None


@commands.command("restore")
@grouped
def drill_restore(
    places: Places,
    backup: Annotated[
        Path | None, typer.Argument(help="A backup; else the last one, or one that is made for the drill.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup beside the instance, verify it, measure, remove it, and log the result."""
    from gateway.cli.common import arguments
    from gateway.drills import restoring

    settings = load_instance(data, as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed, as after Ctrl-C
    wanted = restoring.Wanted(
        backup=None if backup is None else backup.absolute(),
        database=places.database.replace("postgresql://", "postgresql+psycopg://", 1),
        vkey=None if places.vkey is None else arguments.log_key(places.vkey, as_json),
        keys=places.keys,
        work=places.work,
        actor=actor(),
    )
    with shares(as_json) as tick:
        done = restoring.drill(settings, wanted, time.time, tick)
    emit(asdict(done), as_json, "\n".join(_lines(done)))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Traffic:
    """Whose messages are sent; a sandbox has some."""

    identity: Annotated[
        Path | None, typer.Option("--identity", help="Folder of the system registered for drills; a sandbox has one.")
    ] = None
    path: Annotated[
        str, typer.Option("--path", help="Operation that it calls, such as /drill-message/v1/messages.")
    ] = ""
    message: Annotated[
        Path | None, typer.Option("--message", help="A JSON message of it; DRILL-ID in it becomes the number.")
    ] = None
    seconds: Annotated[float, typer.Option("--seconds", help="How long is sent before and after.")] = 10.0


@commands.command("failover")
@grouped
def drill_failover(
    traffic: Traffic,
    end: Annotated[
        What, typer.Option("--end", help="What is ended: the leading keeper, a door, this machine; or wait for you.")
    ] = What.KEEPER,
    yes: Annotated[bool, typer.Option("--yes", help="You know that calls are cut short.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send numbered messages, end a process of this machine by signal 9, count what was lost and how long it took."""
    from gateway.client.identities.identity import Identity
    from gateway.drills import failover

    settings = load_instance(data, as_json)
    if not 0.1 <= traffic.seconds <= 3600.0:  # nor is NaN
        what = f"--seconds {traffic.seconds} is not within 0.1 and 3600 / không nằm trong 0.1 đến 3600"
        fail(Exit.USAGE, "wrong-seconds", what, "Name a time. / Ghi một thời lượng.", as_json)
    if settings.kind == "production" and not (traffic.identity and traffic.path and traffic.message):
        what = "name the system of the drill / nêu hệ thống diễn tập: --identity, --path, --message"
        fail(Exit.USAGE, "no-traffic", what, "See docs/operating.md. / Xem hướng dẫn ở docs/vi/operating.md.", as_json)
    folder, body = _identity(traffic.identity, settings, data, as_json), _body(traffic.message, as_json)
    asks = sys.stdin.isatty() and not as_json
    if (
        end is not What.WAIT
        and not yes
        and not (asks and typer.confirm(f"End by signal 9 / Dừng bằng tín hiệu 9: {end}?", err=True))
    ):
        what = "nothing was ended / chưa dừng gì"
        fail(Exit.USAGE, "not-confirmed", what, "Confirm with --yes. / Xác nhận bằng --yes.", as_json)
    path = traffic.path or "/incident-alert/v1/alerts"
    done = failover.drill(
        settings,
        failover.Wanted(
            what=end.value,
            identity=Identity.load(folder),
            path=path,
            contract="/".join(path.split("/")[1:3]),
            body=body,
            seconds=traffic.seconds,
            actor=actor(),
        ),
        time.time,
        lambda: _ready(end, as_json),
        lambda stage, seconds: None if as_json else _tell(stage, seconds, end),
    )
    ends = _INTERRUPTED if done.trouble == failover.INTERRUPTED else None
    emit(asdict(done), as_json, "\n".join(_failover_lines(done)), ends=ends)


def _identity(given: Path | None, settings: Settings, data: Path | None, as_json: bool) -> Path:
    """The folder of the system that sends; a joined machine of a sandbox has none of the sandbox's."""
    from gateway.cli.common.options import identity_folder

    if given is not None:
        return identity_folder(given, data, as_json)
    folder = settings.identities / "bao-chay"
    if not folder.is_dir():
        fail(
            Exit.USAGE,
            "no-identity",
            f"this machine has no identity that could send: {folder} / máy này không có danh tính nào để gửi",
            "Name the folder of one with --identity: copy it from the machine where the sandbox was made."
            " / Nêu thư mục của một danh tính bằng --identity: chép từ máy đã tạo môi trường thử nghiệm.",
            as_json,
        )
    return folder


def _tell(stage: Stage, seconds: float, end: What) -> None:
    if stage == "ended":
        if end is What.MACHINE:
            _say(
                "the processes of this machine were ended: start the machine again now (lgsp up)",
                "đã dừng các tiến trình của máy này: hãy khởi động lại ngay (lgsp up)",
            )
        return
    en, vi = _WAITED[stage]
    _say(
        f"waiting for {seconds:.0f} s {en}; Ctrl-C ends the drill",
        f"đã chờ {seconds:.0f} giây {vi}; Ctrl-C để kết thúc",
    )


def _say(en: str, vi: str) -> None:
    say(f"{en} / {vi}", to=sys.stderr, flush=True)


def _body(file: Path | None, as_json: bool) -> Callable[[str], Any]:
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            what = f"{file} cannot be read as text (UTF-8): {wrong} / không đọc được {file} như văn bản UTF-8"
            fail(Exit.USAGE, "file", what, "Name a JSON message. / Nêu một thông điệp JSON.", as_json)
        if _NUMBERED not in text:
            what = f"{file} has no {_NUMBERED}: all messages would be the same / {file} không có {_NUMBERED}"
            then = (
                f"Write {_NUMBERED} where the message has its number."
                f" / Ghi {_NUMBERED} ở nơi thông điệp có mã số của nó."
            )
            fail(Exit.USAGE, "no-drill-id", what, then, as_json)
        return lambda number: text.replace(_NUMBERED, number).encode()
    from gateway.sandbox.standins.messages import fire_alarm

    return lambda number: fire_alarm(identifier=number)


def _ready(end: What, as_json: bool) -> None:
    if end is What.WAIT:
        _wait(as_json)
    for number in (signal.SIGINT, signal.SIGTERM):  # from here on what was counted is told
        signal.signal(number, signal.default_int_handler)


def _wait(as_json: bool) -> None:
    if not as_json:
        say("traffic goes; begin, then press Enter / đang gửi; bắt đầu chuyển đổi rồi nhấn Enter", to=sys.stderr)
    if not sys.stdin.readline():  # its end is no Enter: nobody has begun anything
        fail(
            Exit.USAGE,
            "not-begun",
            "standard input ended, and nobody pressed Enter / đầu vào chuẩn kết thúc mà chưa có ai nhấn Enter",
            "Run it at a terminal. / Chạy lệnh này tại một thiết bị đầu cuối.",
            as_json,
        )


def _failover_lines(done: Failover) -> list[str]:
    codes = ", ".join(f"{code} {count}" for code, count in done.refused.items()) or "–"
    leads = (
        f"; another keeper leads after / tiến trình khác dẫn sau {_s(done.leads_after)}" if done.leader_ended else ""
    )
    lines = [
        f"sent / đã gửi {done.sent}, acknowledged / được nhận {done.acknowledged}, refused / bị từ chối: {codes}",
        f"lost / mất {_n(done.lost)}, twice / trùng {_n(done.twice)},"
        f" out of order / sai thứ tự {_n(done.out_of_order)}",
        f"longest gap / quãng ngắt dài nhất {_s(done.longest_gap)},"
        f" acknowledged again after / nhận lại sau {_s(done.again_after)}{leads}",
    ]
    if done.trouble:
        lines.append(f"the drill was cut short / diễn tập bị ngắt: {done.trouble}")
    if not done.recorded:
        lines.append("the log has no entry of it / nhật ký không có mục về lần này")
    return [*lines, "well / tốt" if done.ok else "THE DRILL FAILED / DIỄN TẬP THẤT BẠI"]


def _n(count: int | None) -> str:
    return "–" if count is None else str(count)


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:g} s"


def _lines(done: Result) -> list[str]:
    failed = f"THE DRILL FAILED / DIỄN TẬP THẤT BẠI: {done.trouble}: {done.first_wrong or '-'}"
    if done.trouble and not done.made:  # nothing was restored that could be told of
        return [failed]
    lines = [
        f"{done.backup}: made / lập lúc {done.made or '-'}, {done.entries} entries verified with {done.trusted_key} key"
        f" / đã kiểm tra {done.entries} mục",
        f"signed since, and lost with the machine / ký sau đó, sẽ mất theo máy: {done.lost} entries / mục",
        f"transfers / giao dịch: {done.transfers}; bodies / nội dung: {_bodies(done.bodies)}",
        f"{done.seconds} s; restored in / khôi phục {done.restore_seconds} s,"
        f" verified in / kiểm tra {done.verify_seconds} s; nothing was left / không để lại gì",
    ]
    if done.missing_keys:
        lines.append(f"keys that the backup lacks / bản sao thiếu khóa: {', '.join(done.missing_keys)}")
    if not done.ok:
        lines.append(failed)
    return lines


def _bodies(counted: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items()) or "-"
