"""`lgsp backup`, `lgsp restore`, `lgsp move`: copies of an instance, going on from one, and the move to PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from contracts.base.times import rfc3339
from gateway.cli import restore_words
from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail, failed, failures_as_exits
from gateway.cli.common.progress import shares

if TYPE_CHECKING:
    from gateway.backup.succession import Known
    from security.transparency.checkpoint import NoteKey


def _defaulting(name: str) -> type[TyperGroup]:
    class Defaulting(TyperGroup):
        """`lgsp backup FOLDER` is `lgsp backup make FOLDER`."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and args[0] not in self.commands and args[0] != "--help":
                args = [name, *args]
            return super().parse_args(ctx, args)

    return Defaulting


commands = typer.Typer(
    cls=_defaulting("make"),
    no_args_is_help=True,
    help="Back up an instance that runs or stands: `lgsp backup FOLDER`; check a backup.",
)
restore_commands = typer.Typer(
    cls=_defaulting("from"),
    no_args_is_help=True,
    help="Restore a backup into an empty place: `lgsp restore FOLDER --data NEW`; confirm it.",
)
top = typer.Typer()
Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]
Vkey = Annotated[
    str | None,
    typer.Option("--vkey", help="Trusted verifier key of the log, or a file that holds it, from outside the backup."),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint",
        help="A checkpoint of the log kept elsewhere (an agency's, a witness's); may be given several times.",
    ),
]


@commands.command("make")
def backup_make(
    folder: Annotated[Path, typer.Argument(help="An empty or missing folder, outside the data folder.")],
    data: Data = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave out all private keys.")] = False,
    plain_keys: Annotated[
        bool, typer.Option("--plain-keys", help="Take keys in although they lie in the clear.")
    ] = False,
    vault_keys: Annotated[
        bool,
        typer.Option(
            "--vault-keys",
            help="Take in the keys of stored bodies too; that folder is to be destroyed within seven days.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy an instance as it stands at one moment, running or not, and check the copy."""
    from gateway.backup import take

    settings = load_instance(data, as_json)
    keys = not without_keys
    if settings.holds(folder):
        what = f"{folder} lies in the data folder: it would be lost with it / nằm trong thư mục dữ liệu"
        fail(Exit.USAGE, "inside", what, "Name a folder elsewhere. / Chọn thư mục ở nơi khác.", as_json)
    with shares(as_json) as tick:
        manifest, digest, report = take.take(
            settings, folder, take.Wanted(keys, plain_keys, vault_keys, actor()), time.time(), tick
        )
    result = {
        "ok": report.ok,
        "folder": str(folder),
        "manifest": digest,
        "made": rfc3339(manifest.made),
        "origin": manifest.origin,
        "size": manifest.size,
        "files": len(manifest.files),
        "bytes": sum(each.size for each in manifest.files.values()),
        "keys": manifest.keys,
        "vault_keys_until": None if manifest.vault_keys_until is None else rfc3339(manifest.vault_keys_until),
        "first_wrong": report.first_wrong,
    }
    lines = [
        f"{folder}: {result['files']} files, {result['bytes']} bytes; {manifest.origin}, {manifest.size} entries"
        f" / đã sao lưu {result['files']} tệp, {result['bytes']} byte, {manifest.size} mục nhật ký",
        "the log within verifies / nhật ký trong bản sao đúng"
        if report.ok
        else f"FIRST WRONG / SAI: {report.first_wrong}",
    ]
    if manifest.keys == "plain":
        lines.append(
            "its keys lie in the clear: whoever has it can pass for the gateway"
            " / khóa không mã hóa: ai có bản sao này mạo danh được cổng trao đổi dữ liệu"
        )
    if manifest.vault_keys_until is not None:
        lines.append(f"destroy {take.VAULT_KEYS}/ before / hủy {take.VAULT_KEYS}/ trước {result['vault_keys_until']}")
    else:
        lines.append("without the keys of stored bodies / không có khóa kho nội dung (docs/operating.md)")
    emit(result, as_json, "\n".join(lines))


@commands.command("check")
def backup_check(folder: Folder, vkey: Vkey = None, checkpoint: Checkpoints = None, as_json: AsJson = False) -> None:
    """Compare every file with the manifest, and derive the log within anew."""
    from gateway.backup import take
    from security.grants.windows import civil

    notes = [each.note for each in _known(checkpoint or (), as_json)]
    with shares(as_json) as tick:
        manifest, report = take.check(folder, _key(vkey, as_json), notes, tick)
    overdue = manifest.vault_keys_until is not None and manifest.vault_keys_until < time.time()
    result = {
        "ok": report.ok,
        "made": rfc3339(manifest.made),
        "version": manifest.version,
        "database": manifest.database,
        "revision": manifest.revision,
        "origin": manifest.origin,
        "size": report.size,
        "root": report.root,
        "files": len(manifest.files),
        "checked": report.checked,
        "first_wrong": report.first_wrong,
        "keys": manifest.keys,
        "vault_keys_overdue": overdue,
        "trusted_key": "given" if vkey is not None else "from the backup itself",
    }
    lines = [
        f"{folder}: made {civil(manifest.made)}, {len(manifest.files)} files as the manifest states; {manifest.origin},"
        f" {report.size} entries"
        f" / lập lúc {civil(manifest.made)}, {len(manifest.files)} tệp đúng như bản kê, {report.size} mục nhật ký",
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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Wanted:
    """Where a backup goes, and what stands for the log that it ends."""

    data: Annotated[Path, typer.Option("--data", help="The empty or missing folder of the instance to be.")]
    database: Annotated[
        str, typer.Option("--database", help="SQLAlchemy address of an empty PostgreSQL database, for a backup of one.")
    ] = ""
    checkpoint: Checkpoints = None
    vkey: Vkey = None
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="You answer for it that nothing was signed after this backup: the log goes on under its name.",
        ),
    ] = False
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="A folder `keys` kept elsewhere, where the backup was made without them."),
    ] = None
    vault_keys: Annotated[
        Path | None, typer.Option("--vault-keys", help="A folder with the keys of stored bodies, kept elsewhere.")
    ] = None
    vault_database: Annotated[
        str, typer.Option("--vault-database", help="The second database with the vault's keys, if it still stands.")
    ] = ""
    origin: Annotated[
        str,
        typer.Option("--origin", help="Name for a new log, if one begins (default: the old name and the next number)."),
    ] = ""
    practice: Annotated[
        bool, typer.Option("--practice", help="For practice: it is looked at and deleted, and cannot be confirmed.")
    ] = False


@restore_commands.command("from")
@grouped
def restore_from(folder: Folder, wanted: Wanted, as_json: AsJson = False) -> None:
    """Restore, verify, and say what may have gone back in time; the doors stay closed until `lgsp restore confirm`."""
    from gateway.backup import restore as restoring

    data = wanted.data
    asked = restoring.Asked(
        data=data,
        database=wanted.database.replace("postgresql://", "postgresql+psycopg://", 1),
        outside=tuple(_known(wanted.checkpoint or (), as_json)),
        vkey=_key(wanted.vkey, as_json),
        complete=wanted.complete,
        vault_keys=wanted.vault_keys,
        vault_database=wanted.vault_database,
        keys=wanted.keys,
        origin=wanted.origin,
        practice=wanted.practice,
    )
    with shares(as_json) as tick:
        done = restoring.restore(folder, asked, time.time(), tick)
    lines = [f"restored to / đã khôi phục vào {data}", *restore_words.lines(asdict(done))]
    lines += restore_words.then(data, wanted.practice, asked.database)
    emit({"ok": True, "data": str(data), "doors": "closed", **asdict(done)}, as_json, "\n".join(lines))


@restore_commands.command("confirm")
def restore_confirm(
    data: Data = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="Who looked through what may have gone back; goes into the log. Without it the list is only shown.",
        ),
    ] = "",
    although_it_runs: Annotated[
        bool,
        typer.Option(
            "--although-it-runs", help="Open the doors although the instance of the backup still runs on this machine."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what may have gone back in time with the database; with --by, open the doors."""
    from gateway.backup import restore as restoring
    from gateway.journal.database import open_engine
    from gateway.registry import restore_lock
    from gateway.registry.seals.sealing import Seal, changing
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        held = restore_lock.newest_restore(connection)
    if held is None or held["confirmed"]:
        from gateway.backup.errors import BACKUP_NOT_HELD

        raise BACKUP_NOT_HELD(data=settings.data)
    restored = held["backup"]
    runs = restoring.runs_beside(restored.get("old", ""), settings.data)
    restored["old_runs"] = runs
    lines = restore_words.lines(restored)
    if not by:
        then = restore_words.then(settings.data, bool(restored.get("practice")), settings.database)
        emit({"ok": False, "confirmed": False, **restored}, as_json, "\n".join([*lines, *then]))
    if restored.get("practice"):
        from gateway.backup.errors import BACKUP_PRACTICE

        raise BACKUP_PRACTICE(data=settings.data)
    if runs and not although_it_runs:
        from gateway.backup.errors import BACKUP_OLD_RUNS

        raise BACKUP_OLD_RUNS(old=restored["old"])
    facts: dict[str, Any] = {"backup": restored["backup"], **({"although": "the old instance runs"} if runs else {})}
    with changing(engine, Seal.of(settings)) as act:
        opens = restore_lock.confirm(act.connection)
        act.note("restore-confirmed", {**facts, "by": by}, time.time(), actor=actor())
    assert opens is not None
    lines.append(f"confirmed by / người xác nhận: {by}; the doors open at / cửa mở lúc {civil(opens)}")
    emit({"ok": True, "confirmed": True, "opens": rfc3339(opens), **restored}, as_json, "\n".join(lines))


def _known(files: Sequence[Path], as_json: bool) -> list[Known]:
    from gateway.backup.succession import Known

    return [Known(str(path), arguments.checkpoint(path, as_json)) for path in files]


def _key(text: str | None, as_json: bool) -> NoteKey | None:
    return None if text is None else arguments.log_key(text, as_json)


@top.command()
def move(
    database: Annotated[str, typer.Argument(help="Address of an empty database (postgresql+psycopg://…).")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Move a stopped instance from SQLite to an empty PostgreSQL database, whole or not at all. The log is verified
    there; the old file is kept under another name."""
    from gateway.backup.move import move as moving
    from gateway.cli.run import alone
    from gateway.processes.supervised import NotStarted

    settings = load_instance(data, as_json)
    url = database.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        with alone(settings), shares(as_json) as tick, failures_as_exits(as_json):
            done = moving(settings, url, time.time(), actor(), tick)
    except NotStarted as trouble:
        failed(Exit.USAGE, trouble, as_json)
    result = {"tables": done.tables, "rows": done.rows, "entries": done.entries, "kept": str(done.kept)}
    text = (
        f"{done.rows} rows, {done.entries} entries of the log, verified there"
        f" / {done.rows} dòng, {done.entries} mục nhật ký, đã kiểm tra tại nơi mới\n"
        f"The old file / tệp cũ: {done.kept}\nlgsp up"
    )
    emit({"ok": True, **result}, as_json, text)
