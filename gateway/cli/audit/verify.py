"""`lgsp audit verify`: the same check for the database, for an export and over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from contracts.base.errors import Ours
from gateway.cli.audit import readable
from gateway.cli.audit.beside import Beside
from gateway.cli.audit.entries import Origin, past_log
from gateway.cli.audit.labels import counted, said
from gateway.cli.audit.outside import Others, check_outside, trusted_of
from gateway.cli.audit.remote import Place, remote, remote_failures
from gateway.cli.audit.verdict import leave
from gateway.cli.common import arguments
from gateway.cli.common.language import either
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail
from gateway.cli.common.progress import progress as shown

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from gateway.audit.log import origins
    from gateway.audit.verify.sources import Source
    from gateway.audit.verify.verify import Report
    from gateway.audit.witnessing.verify import Trusted
    from gateway.settings import Settings
    from security.transparency.checkpoint import Checkpoint, NoteKey

commands = typer.Typer()
T = TypeVar("T")
_OWN = {
    "instance": "note: checked with the key that lies in the instance; "
    "give --vkey with one kept outside to trust the result\n"
    "      đã kiểm tra bằng khóa nằm ngay trong phiên bản; hãy dùng --vkey với khóa giữ ở ngoài",
    "export": "note: checked with the key that lies in the export; "
    "give --vkey with one that came another way to trust the result\n"
    "      đã kiểm tra bằng khóa nằm ngay trong bản xuất; hãy dùng --vkey với khóa nhận bằng đường khác",
}
_UNSEEN = (
    "ids of messages and seals of registry and accounts, since this account may not read the instance's keys"
    " / mã thông điệp và dấu niêm phong sổ đăng ký, tài khoản, vì tài khoản này không được đọc khóa"
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scope:
    """What of a log is checked, and against which checkpoints."""

    origin: Origin = None
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A checkpoint kept outside, which the log must continue; may be repeated."),
    ] = None
    export: Annotated[
        Path | None, typer.Option("--from", help="Check this export instead of the instance's database.")
    ] = None
    first: Annotated[int | None, typer.Option("--from-index", min=0, help="Check only from this entry on.")] = None
    last: Annotated[
        int | None, typer.Option("--to-index", min=0, help="Check only up to this entry, itself included.")
    ] = None
    no_record: Annotated[
        bool, typer.Option("--no-record", help="Write nothing: else the instance keeps the verdict, for the console.")
    ] = False
    files: Annotated[
        bool, typer.Option("--files", help="Open every piece of large files too, and compare it: this reads them all.")
    ] = False


@commands.command("verify")
@grouped
def audit_verify(place: Place, scope: Scope, others: Others, data: Data = None, as_json: AsJson = False) -> None:
    """Derive the tree anew from the raw entries and compare it with the signed checkpoint; a range by the tiles that
    lead to its root."""
    data, place = place.resolved(data, as_json)
    sources = (("--data", data), ("--from", scope.export), ("--url or --identity", place.url or place.identity))
    named = [name for name, value in sources if value]
    if len(named) > 1:
        what = f"{' and '.join(named)} name two logs / chỉ ra hai nhật ký khác nhau"
        fail(Exit.USAGE, "usage", what, "Give one of them. / Chỉ dùng một tham số.", as_json)
    if others.given and (scope.export or place.remote):
        what = (
            "--witness and --stamp-anchors check what the instance's database keeps"
            " / chỉ kiểm tra được trong cơ sở dữ liệu của phiên bản"
        )
        then = "Leave --from, --url and --identity away. / Bỏ --from, --url và --identity."
        fail(Exit.USAGE, "usage", what, then, as_json)
    asked = Asked(scope, as_json)
    if scope.export is not None:
        of_export(scope.export, place.vkey, asked)
    elif place.remote:
        over_http(place, asked)
    else:
        of_database(load_instance(data, as_json), place.vkey, asked, trusted_of(others, as_json))


class Asked:
    """What is asked, whatever the source: range, origin, kept checkpoints."""

    def __init__(self, scope: Scope, as_json: bool) -> None:
        first, last = scope.first, scope.last
        if first is not None and last is not None and first > last:
            what = f"--from-index {first} is after --to-index {last} / mục đầu nằm sau mục cuối"
            next = "Give the first entry, then the last. / Nêu mục đầu trước, mục cuối sau."
            fail(Exit.USAGE, "bad-range", what, next, as_json)
        self.origin = scope.origin
        self.outside: list[tuple[str, str | Checkpoint]] = [
            (f"the kept checkpoint {path.name}", arguments.checkpoint(path, as_json)) for path in scope.checkpoint or ()
        ]
        self.first = first
        self.last = last
        self.record = not scope.no_record
        self.files = scope.files
        self.as_json = as_json

    @property
    def whole(self) -> bool:
        return self.first is None and self.last is None

    @property
    def kept(self) -> int:
        """The largest size of a checkpoint that is held against the log."""
        from gateway.audit.log.checkpoints import size_of

        return max((size_of(each) for _, each in self.outside), default=0)

    def beyond(self, report: Report) -> bool:
        """Whether the range goes past the signed log, and past every checkpoint that is held against it: then the
        question is wrong, not the log."""
        most = max(report.size, self.kept)
        given = max(each for each in (self.first, self.last, -1) if each is not None)
        return 0 < report.size and most <= given and len(report.wrong) == 1 and report.wrong[0].startswith("entries ")


def of_database(settings: Settings, vkey: str | None, asked: Asked, trusted: Trusted) -> None:
    """Without `--vkey` the instance's own copy is used, and the result says so: that proves only that it agrees with
    itself."""
    from gateway.audit.log import origins
    from gateway.audit.verify.accounts import check_accounts
    from gateway.audit.verify.complete import Completeness, check_complete
    from gateway.audit.verify.forms import gone, guarded, malformed, set_aside, texts
    from gateway.audit.verify.registered import Registered, check_registered
    from gateway.audit.verify.rows.check import check_tables
    from gateway.audit.verify.sources import DatabaseSource
    from gateway.journal.database import open_engine, snapshot
    from gateway.journal.schema import comparison
    from gateway.keys.keyring import Keyring

    engine, began = open_engine(settings.database_url), time.time()
    with snapshot(engine) as connection:
        found, without = malformed(connection), tuple(gone(connection))
    set_aside(engine, found)
    past = past_log(engine, settings, asked.origin)
    own = past.vkey if past is not None else str(Keyring(settings).log_vkey)
    key = arguments.log_key(vkey if vkey is not None else own, asked.as_json)
    asked.origin = asked.origin or settings.origin
    # Read before the database, which is never behind it.
    unreadable: list[str] = []
    asked.outside[:0] = _of_past(engine, past) if past is not None else _beside(settings, asked.origin, unreadable)
    beside = Beside(missing=(*without, *texts(found)))
    people = readable.accounts_seal(settings)
    seen = people.seen() if people is not None else None
    if past is None:
        with snapshot(engine) as connection, shown(asked.as_json) as progress:
            # Rows and log are compared as a whole: a range of the log says nothing of the rows that have no entry.
            held = progress.add_task("rows", total=None)
            rows, registered, accounts, missing = None, None, None, [*beside.missing, *unreadable]
            missing += [f"the schema of the database, {each}" for each in comparison.differences(connection)]

            def tried(what: str, check: Callable[[], T], otherwise: T) -> T:
                return guarded(connection, what, missing.append, check, otherwise)

            missing += tried("the checkpoint", lambda: list(_missing(connection, settings)), [])
            missing += tried("the vault's keys", lambda: readable.other_keys(connection, settings), [])
            if asked.whole:
                rows = check_complete(
                    connection,
                    on_progress=lambda done: progress.update(held, completed=done),
                    hash_id=readable.hash_id(settings),
                )
                around = check_tables(
                    connection,
                    key,
                    issuers=readable.issuers(settings),
                    files=readable.files(settings, engine, asked.files),
                    on_progress=lambda done: progress.update(held, completed=done),
                )
                rows = Completeness(
                    rows.ok and around.ok, {**rows.checked, **around.checked}, (*rows.wrong, *around.wrong)
                )
                nothing = Registered({}, ())
                registered = tried(
                    "the registry", lambda: check_registered(connection, readable.seal(settings)), nothing
                )
                accounts = tried("the accounts", lambda: check_accounts(connection, people, seen), nothing)
                missing += tried("logs that ended", lambda: list(origins.lost_since(connection)), [])
            unseen = (_UNSEEN,) if asked.whole and readable.hash_id(settings) is None else ()
            signed = tried(
                "witnesses and stamps",
                lambda: check_outside(trusted, connection, key, progress, str(asked.origin)),
                None,
            )
            beside = Beside(
                rows=rows,
                registered=registered,
                accounts=accounts,
                outside=signed,
                missing=tuple(missing),
                unseen=unseen,
            )
    with origins.within(engine, past.origin if past is not None else None) as connection:
        report = _checked(DatabaseSource(connection), key, asked, beside)
    wrong = (*report.wrong, *beside.wrong)
    # A range that agrees says nothing of the rest, and a key of another log nothing of this one.
    if past is None and asked.record and key.name == asked.origin and (asked.whole or wrong):
        beside = replace(beside, verdict=leave(settings, report.size, wrong, began))
    _say(report, beside, DatabaseSource.what, asked, "instance" if vkey is None else None)


def _beside(settings: Settings, origin: str, unreadable: list[str]) -> Iterator[tuple[str, str]]:
    """The files that the keeper writes. The cosigned one may be of a log that ended, until witnesses cosign this
    one."""
    from gateway.audit.log.checkpoints import read_note

    for what, path in (("checkpoint", settings.checkpoint_file), ("cosigned checkpoint", settings.cosigned_file)):
        try:
            note = read_note(path)
        except Ours as trouble:
            unreadable.append(str(trouble.facts["reason"]))
            continue
        if note is not None and (path == settings.checkpoint_file or note.partition("\n")[0] == origin):
            yield f"the {what} beside the database", note
    yield from readable.head(settings, origin, unreadable)


def _of_past(engine: Engine, past: origins.Ended) -> Iterator[tuple[str, str | Checkpoint]]:
    """What its own row says, and what was signed of it into the first entry of the log after it."""
    from gateway.audit.log import origins

    if past.note is not None:
        yield "the checkpoint that it ended with", past.note
    with engine.connect() as connection:
        for before in origins.before(connection):
            if before.origin == past.origin:
                yield "entry 0 of the log after it", before.point
                if before.note:
                    yield "the checkpoint in entry 0 of the log after it", before.note


def _missing(connection: Connection, settings: Settings) -> Iterator[str]:
    """Without it a log cut short agrees with itself; the keeper signs nothing either."""
    from sqlalchemy import select

    from gateway.journal.schema import tables

    filled = connection.execute(select(tables.log_entry.c.idx).limit(1)).first() is not None
    if filled and not settings.checkpoint_file.exists():  # in this order: it stands before the first entry does
        yield (
            f"the checkpoint beside the database, {settings.checkpoint_file}, is missing: nothing"
            " here tells whether entries were taken back"
        )


def of_export(folder: Path, vkey: str | None, asked: Asked) -> None:
    from gateway.audit.verify.folder import FolderSource

    with remote_failures(asked.as_json):
        source = FolderSource(folder)
        key = arguments.log_key(vkey if vkey is not None else source.key(), asked.as_json)
        _check(source, key, asked, "export" if vkey is None else None)


def over_http(place: Place, asked: Asked) -> None:
    from gateway.audit.verify.remote import RemoteSource

    with remote(place, asked.as_json) as (found, key):
        _check(RemoteSource(found, asked.kept), key, asked, None)


def _check(source: Source, key: NoteKey, asked: Asked, own: str | None) -> None:
    _say(_checked(source, key, asked, Beside()), Beside(), source.what, asked, own)


def _checked(source: Source, key: NoteKey, asked: Asked, beside: Beside) -> Report:
    from gateway.audit.verify.verify import Only, verify

    origin = asked.origin = asked.origin or key.name
    with shown(asked.as_json) as progress:
        task = progress.add_task(source.what, total=None)
        report = verify(
            source,
            key,
            origin=origin,
            outside=asked.outside,
            only=Only(asked.first, asked.last),
            on_progress=lambda done: progress.update(task, completed=done),
        )
    if key.name != origin:  # else each checkpoint would only lack its signature
        other = f"the key that was given is of the log {key.name}, and this is the log {origin}"
        report = replace(report, ok=False, wrong=(other, *report.wrong))
    if asked.beyond(report) and not beside.wrong:
        what = (
            f"the signed log has {report.size} entries, 0 to {report.size - 1}: the range goes beyond it"
            " / vượt quá nhật ký đã ký"
        )
        fail(
            Exit.USAGE,
            "bad-range",
            what,
            f"Name entries up to {report.size - 1}. / Chọn đến mục {report.size - 1}.",
            asked.as_json,
        )
    return report


def _say(report: Report, beside: Beside, what: str, asked: Asked, own: str | None) -> None:
    wrong = [*report.wrong, *beside.wrong]
    result: dict[str, Any] = {
        "ok": not wrong,
        "origin": asked.origin,
        "size": report.size,
        "root": report.root,
        "checked": report.checked,
        **beside.facts(),
        "first_wrong": wrong[0] if wrong else None,
        "wrong": wrong,
        "notes": list(report.notes),
        "trusted_key": "given" if own is None else f"from the {own} itself",
    }
    empty = not report.size and not report.checked["checkpoints"]
    verdict = said("empty" if empty else "agrees")
    size = either(f"{report.size} entries, root", f"{report.size} mục, gốc")
    lines = [
        f"{what}: {either('log of', 'nhật ký của')} {asked.origin}, {size} {report.root}",
        *counted(report.checked),
        *(f"  {text}" for text in report.notes),
        *beside.lines(),
        f"{said('first-wrong')}: {wrong[0]}" if wrong else verdict,
        *(f"  {said('then')}: {text}" for text in wrong[1:]),
    ]
    if wrong:
        lines.append(said("leave"))
    if own is not None:
        lines.append(_OWN[own])
    emit(result, asked.as_json, "\n".join(lines))
