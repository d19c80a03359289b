"""`lgsp drill`: tries what an instance would lose, and how long it would take, without touching it."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import emit
from gateway.cli.common.progress import shares

if TYPE_CHECKING:
    from gateway.drills.restoring import Result

commands = typer.Typer(no_args_is_help=True, help="Drills: what would be lost, and how long it would take.")


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


def _lines(done: Result) -> list[str]:
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
        lines.append(f"THE DRILL FAILED / DIỄN TẬP THẤT BẠI: {done.trouble}: {done.first_wrong or '-'}")
    return lines


def _bodies(counted: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items()) or "-"
