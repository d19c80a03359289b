"""A keeper and a door work on a copy of a whole instance, in this process, and what comes of it is written down.

Every periodic task of the keeper runs over the copied database, by a clock that is set; then a door takes calls in.
Nothing leaves: providers, HTTP, mail and connections end at recorders. `Walk.on` gives what was sent, ended, destroyed
and told, as texts that are alike for two runs over the same rows.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast
from unittest import mock

import aiohttp
from sqlalchemy import Engine

from adapters.model import Incoming
from contracts.base.errors import Failure
from gateway.audit.witnessing import admission
from gateway.audit.witnessing.admission import AdmissionDeadline
from gateway.delivery.forwarder import Forwardable
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.writer import Journal
from gateway.keeper.periodic import KeeperServices, declared_tasks, schedule
from gateway.notices.mail import MailServer
from gateway.push.peers import peers_of
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from tests.attacks.audit.picking import Look, Row
from tests.attacks.audit.whole import Door, Scripted, Whole

ROUNDS: Final = 4  # runs of one task, at most
AFTER: Final = 60.0  # seconds from the last act of the instance to the walk
Did = Counter[str]
# What is compared of a row that stands before and after: whatever says what became of it.
_TELLING: Final = {
    "agency_case": ("state",),
    "alarm": ("told", "told_end", "raised", "ended"),
    "console_job": ("state",),
    "feed_key": ("state", "transfer"),
    "finding": ("raised", "ended", "told", "told_end"),
    "handling": ("state", "ended", "told", "system"),
    "machine": ("state",),
    "mail": ("state",),
    "push_subscription": ("state", "position", "reached"),
    "queue": ("state", "provider"),
    "transfer": ("state", "status", "failure"),
    "vault": ("key_id",),
    "vault_destroyed": ("destroyed", "bodies"),
    "vault_hold": ("released",),
}
_NEW: Final = ("phase", "kind", "contract", "state", "system", "provider", "about", "key_id", "name", "subject", "code")
_AT_LEISURE: Final = ("feed-hour", "feed-digest")  # as far as a fifth of a core gets within the run
_ID: Final = re.compile("[0-9a-f]{8}-[0-9a-f-]{27}")
# What comes and goes with each run, and tells of nothing that was done.
_QUIET: Final = frozenset(
    {
        "process",
        "lease",
        "log_index",
        "log_indexed",
        "log_party",
        "probe_day",
        "replay",
        "instance",
        "certificate_status",
    }
)


class Recorder(Scripted):
    """The providers: each answers, and is written down before."""

    def __init__(self, clock: Callable[[], float], did: Did) -> None:
        super().__init__(clock)
        self.did = did
        vars(self)["posts"] = self

    async def forward(self, what: Forwardable, seconds: float) -> Incoming:
        endpoint = what.provider.endpoint
        at = endpoint.url if endpoint is not None else "-"
        self.did[f"sent {what.operation.name} to {what.provider.id} at {at}"] += 1
        return await super().forward(what, seconds)

    async def post(self, system: str, url: str, transfer: str, *_rest: Any) -> None:
        self.did[f"called back {system} at {url}"] += 1


@dataclass
class Walk:
    """`whole` is the built instance, which stays as it is; the walk has a folder of its own."""

    whole: Whole
    folder: Path
    database: bytes
    settings: Settings
    did: Did = field(default_factory=Counter)

    @cached_property
    def usual(self) -> Did:
        """What they do on an unchanged copy; at most, of two runs."""
        return self.on() | self.on()

    @classmethod
    def of(cls, whole: Whole, folder: Path) -> Walk:
        shutil.copytree(whole.settings.data, folder / "data")
        with closing(sqlite3.connect(folder / "data" / "lgsp.db")) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        settings = replace(
            whole.settings,
            data=folder / "data",
            mail_server="smtp://localhost:1",
            mail_from="lgsp@tinh.example",
        )
        return cls(whole, folder, (folder / "data" / "lgsp.db").read_bytes(), settings)

    @property
    def file(self) -> Path:
        return self.folder / "data" / "lgsp.db"

    def put_back(self) -> None:
        for name in ("lgsp.db-wal", "lgsp.db-shm"):
            self.file.with_name(name).unlink(missing_ok=True)
        self.file.write_bytes(self.database)
        shutil.rmtree(self.settings.vault_keys)
        shutil.copytree(self.whole.settings.vault_keys, self.settings.vault_keys)
        self.did = Counter()

    def on(self, change: Callable[[Engine], object] = lambda engine: None) -> Did:
        """What keeper and door do on a copy in which this was changed."""
        self.put_back()
        engine = open_engine(self.settings.database_url)
        keys = _files(self.settings.vault_keys)
        registry = Registry(engine, Seal.of(self.settings))  # of processes that were at work before
        change(engine)
        changed = _rows(self.file)
        try:
            with self._recording():
                asyncio.run(self._work(engine, registry))
        finally:
            engine.dispose()
        self._compare(changed, _rows(self.file))
        for gone in keys - _files(self.settings.vault_keys):
            self.did[f"destroyed the key {gone}"] += 1
        return self.did

    # --- at work ------------------------------------------------------------------------------------------------------
    def now(self) -> float:
        return self.whole.now + AFTER

    async def _work(self, engine: Engine, registry: Registry) -> None:
        settings, whole, lock = self.settings, self.whole, lock_of(engine)
        providers = Recorder(self.now, self.did)
        with suppress(Failure), engine.connect() as connection:
            registry.refresh(connection)
        with writing(engine) as connection:
            lease = leases.take(connection, "keeper-walk", self.now(), over=leases.holder(connection))
        if lease is None:
            self.did["nobody leads"] += 1
            return
        journal = Journal(engine, lock, "door-walk")
        journal.start()
        try:
            async with AsyncExitStack() as closing, aiohttp.ClientSession() as web:
                services = KeeperServices(
                    settings=settings,
                    process_id="keeper-walk",
                    engine=engine,
                    lock=lock,
                    journal=journal,
                    vault=type(whole.vault)(settings.vault_keys),
                    registry=registry,
                    seal=Seal.of(settings),
                    forwarder=providers,
                    admission=AdmissionDeadline(settings.deadline_file, admission.closing(settings)),
                    peers=peers_of(whole.keyring, settings, lambda: registry.snapshot),
                    web=web,
                    clock=self.now,
                    hash_id=whole.hash_id,
                    examine=lambda: (),
                    closing=closing,
                )
                await self._keep(services, lease)
            await self._call(journal, registry, providers, engine)
        finally:
            journal.stop()

    async def _keep(self, services: KeeperServices, lease: Lease) -> None:
        for task in schedule(declared_tasks(), services):
            try:
                for _ in range(ROUNDS):
                    if not await task.job.run_once(lease):
                        break
                finish = getattr(task.job, "finish", None)
                if finish is not None:
                    await asyncio.wait_for(_finished(finish), 5.0)
            except Failure as failure:
                self.did[f"stopped {task.name}: {failure.code}"] += 1
            except Exception as trouble:
                self.did[f"failed {task.name}: {type(trouble).__name__}"] += 1

    async def _call(self, journal: Journal, registry: Registry, providers: Recorder, engine: Engine) -> None:
        whole = replace(self.whole, made=dict(self.whole.made), now=self.now(), engine=engine)
        vault = type(whole.vault)(self.settings.vault_keys)
        exchange = Exchange(journal, vault, providers, engine, "door-walk", whole.hash_id, self.now, 1.0)
        at = Door(whole, journal, exchange, cast(Any, None), providers, registry)
        for name, words in CALLS.items():
            try:
                with mock.patch("asyncio.run", _await_later):
                    answer = await cast(Any, at.call(name, *words[:3], message=words[3] if words[3:] else ""))
            except Failure as failure:
                self.did[f"door {name}: {failure.code}"] += 1
            except Exception as trouble:
                self.did[f"door {name}: {type(trouble).__name__}"] += 1
            else:
                self.did[f"door {name}: {_answer(answer)}"] += 1

    @contextmanager
    def _recording(self) -> Iterator[None]:
        async def request(_session: Any, method: str, url: Any, **_: Any) -> Any:
            self.did[f"{method} {url}"] += 1
            raise aiohttp.ClientConnectionError("nobody is there")

        async def connect(host: str, port: int, **_: Any) -> Any:
            self.did[f"connected to {host}:{port}"] += 1
            raise ConnectionRefusedError

        def send(_server: Any, letter: Any) -> None:
            self.did[f"mailed {letter.to}: {letter.subject}"] += 1

        with ExitStack() as patched:
            patched.enter_context(mock.patch.object(aiohttp.ClientSession, "_request", request))
            patched.enter_context(mock.patch("asyncio.open_connection", connect))
            patched.enter_context(mock.patch.object(MailServer, "send", send))
            yield

    # --- what came of it ----------------------------------------------------------------------------------------------
    def _compare(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        for table, rows in after.items():
            if table in _QUIET:
                continue
            earlier = before[table]
            for key in earlier.keys() - rows.keys():
                self.did[f"{table} {key}: gone"] += 1
            for key in rows.keys() - earlier.keys():
                if not (what := _kind(rows[key])).startswith(_AT_LEISURE):
                    self.did[f"{table}: new {what}"] += 1
            for key in rows.keys() & earlier.keys():
                for name in _TELLING.get(table, ()):
                    old, new = earlier[key][name], rows[key][name]
                    if old != new:
                        self.did[f"{table} {key}: {name} {_plain(old)} → {_plain(new)}"] += 1
                if table == "vault" and earlier[key]["sealed"] and not rows[key]["sealed"]:
                    self.did[f"vault {key}: destroyed"] += 1


# What is no harm, whatever was changed: a door refuses, a task of the keeper stops, a change is told, a count begins.
CLOSED: Final = re.compile(
    r"door .*: (Refused .*|[a-z]+\.[a-z-]+)"
    r"|stopped .*"
    r"|log_pending: new (altered|refusal) .*"
    r"|(quota_use|revocation_list|feed_keyed): new .*"
)
CALLS: Final = {
    "walked alert": ("canh-bao", "incident-alert/v1", "submitAlert"),
    "walked answer": ("thuc-phan", "indicator/v1", "getValue"),
    "walked report": ("phan-anh", "field-report/v1", "createRequest"),
    "walked repeat": ("thuc-phan", "indicator/v1", "getValue", "answered 1"),
    "walked refusal": ("thuc-phan", "dossier-status/v1", "getStatus"),
}


def plausible(look: Look, table: str, column: str, row: Row) -> Any:
    """Another value, for a column whose change no check names: that of another row, or one of its kind."""
    of = look.table(table).c[column]
    others = (each[column] for each in look.rows(table) if each[column] not in (row[column], None))
    kinds = {str: "walked", bytes: b"walked", int: 7, float: 1.0, bool: not row[column]}
    return next(others, kinds[of.type.python_type]) if not of.primary_key else kinds[of.type.python_type]


def _await_later(coroutine: Any) -> Any:
    return coroutine


async def _finished(finish: Callable[..., Any]) -> None:
    try:
        await finish(5.0)
    except TypeError:
        await finish()


def _answer(answer: Any) -> str:
    code = getattr(getattr(answer, "failure", None), "code", "")
    return f"{type(answer).__name__} {code}".strip()


def _rows(file: Path) -> dict[str, dict[str, dict[str, Any]]]:
    with closing(sqlite3.connect(file)) as raw:
        raw.row_factory = sqlite3.Row
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for table in tables.metadata.tables.values():
            keys = [each.name for each in table.primary_key.columns]
            if table.name == "queue":
                keys = ["transfer"]
            rows = [dict(row) for row in raw.execute(f'SELECT * FROM "{table.name}"')]
            found[table.name] = {" ".join(str(row[key]) for key in keys): row for row in rows}
        return found


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _kind(row: Mapping[str, Any]) -> str:
    if isinstance(row.get("entry"), bytes):
        try:
            entry = json.loads(row["entry"])
        except ValueError:
            entry = {}
        facts = entry.get("facts") if isinstance(entry.get("facts"), dict) else {}
        shown = {name: facts[name] for name in ("act", "state", "step", "reason", "code", "failure") if name in facts}
        return f"{entry.get('what') or entry.get('kind')} {entry.get('failure') or ''} {shown or ''}"
    return _ID.sub("*", " ".join(str(row[name]) for name in _NEW if row.get(name) is not None))


def _plain(value: Any) -> str:
    return "time" if isinstance(value, float) else str(value)[:60]
