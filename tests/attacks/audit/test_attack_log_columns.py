"""An insider changes one value of a whole instance: for each column of each table the named check speaks, and names the
row. The keeper and a door at work on the changed row send nothing elsewhere, and do nothing that cannot be undone.

The list is `columns.py`; what it exempts stands with its reason in `docs/audit-log.md`.
"""

from __future__ import annotations

import platform
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, delete, insert, update

from contracts.base.errors import Failure
from gateway.audit.log import origins
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verify.accounts import check_accounts
from gateway.audit.verify.complete import check_complete
from gateway.audit.verify.registered import check_registered
from gateway.audit.verify.rows.check import check_tables
from gateway.audit.verify.sources import DatabaseSource
from gateway.audit.verify.verify import verify, verify_log
from gateway.audit.witnessing.verify import Trusted, verify_outside
from gateway.journal.database import snapshot, writing
from gateway.journal.schema import tables
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.seals import accounts as signing_in
from gateway.registry.seals.sealing import Seal
from gateway.transfer import lease as leases
from security.transparency.checkpoint import NoteKey
from tests.attacks.audit.building import ORIGIN, build
from tests.attacks.audit.columns import CHECKS, columns
from tests.attacks.audit.picking import Column, Look, Pick, Planned, nth, where
from tests.attacks.audit.walking import CLOSED, Walk, plausible
from tests.attacks.audit.whole import Whole, states
from tests.journal.databases import KINDS
from tests.size import FULL

Said = Sequence[str]
LIST = columns()


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    made = build(request.param, tmp_path_factory.mktemp("whole"))
    yield made
    assert {check: found for check in SILENT if (found := said(made, check))} == {}, "each value was put back"
    made.engine.dispose()


# --- the checks -------------------------------------------------------------------------------------------------------
def log(whole: Whole, connection: Connection) -> Said:
    return verify_log(connection, whole.vkey, origin=whole.settings.origin, newest=whole.note).wrong


def rows(whole: Whole, connection: Connection) -> Said:
    return check_complete(connection, hash_id=whole.hash_id).wrong


def around(whole: Whole, connection: Connection) -> Said:
    own = EmbeddedAuthority(whole.settings)
    issuers = {name: own.certificate(name) for name in own.names()}
    return check_tables(connection, whole.vkey, issuers=issuers, now=whole.counted).wrong


def registered(whole: Whole, connection: Connection) -> Said:
    return check_registered(connection, Seal.of(whole.settings)).wrong


def accounts(whole: Whole, connection: Connection) -> Said:
    seal = signing_in.Seal.of(whole.settings)
    return check_accounts(connection, seal, seal.seen()).wrong


def outside(whole: Whole, connection: Connection) -> Said:
    key = NoteKey.from_text(whole.vkey)
    found = verify_outside(connection, key, whole.settings.origin, Trusted([whole.witness], anchors=whole.anchors))
    return *found.wrong, *found.notes


def ended(whole: Whole, connection: Connection) -> Said:
    """What `lgsp audit verify` says of how many entries there are, and with `--origin` of each of them."""
    found = list(origins.lost_since(connection))
    for told in origins.before(connection):
        try:
            with origins.within(whole.engine, told.origin) as past:
                found += verify(
                    DatabaseSource(past),
                    told.vkey,
                    origin=told.origin,
                    outside=[("entry 0 of the log after it", told.point)],
                ).wrong
        except Failure as missing:
            assert missing.code == "audit.no-origin"
    return found


def sequencer(whole: Whole, _connection: Connection) -> Said:
    """A keeper that has just begun signs nothing on top of it."""
    key = LogKey.open(whole.keyring.log_key, whole.settings.origin, whole.keyring.at_rest)
    try:
        Sequencer(whole.engine, None, key, CheckpointFile(whole.settings.checkpoint_file)).run_once(whole.lease)
    except Failure as refused:
        assert refused.code == "audit.inconsistent", refused.code
        return [str(refused.facts["reason"])]
    raise AssertionError("it was sequenced")


def vault(whole: Whole, connection: Connection) -> Said:
    """Whoever opens the bodies."""
    found = []
    for name in ("alert 4", "answered 1"):
        for part in ("canonical", "answer", "provider-answer"):
            id = f"{whole.made[name]}/{part}"
            try:
                whole.vault.open(connection, id)
            except Failure as refused:
                if refused.code == "vault.broken":
                    found.append(f"{refused.facts['id']}: {refused.code}")
    return found


RUN: dict[str, Callable[[Whole, Connection], Said]] = {
    "log": log,
    "rows": rows,
    "tables": around,
    "registered": registered,
    "accounts": accounts,
    "outside": outside,
    "ended": ended,
    "sequencer": sequencer,
    "vault": vault,
}
SILENT = tuple(name for name in RUN if name != "sequencer")  # which would go on, were nothing wrong


def said(whole: Whole, check: str) -> Said:
    with snapshot(whole.engine) as connection:
        return RUN[check](whole, connection)


@contextmanager
def changed(whole: Whole, column: Column) -> Iterator[Planned]:
    """One value is another one, and then as it was."""
    with whole.engine.connect() as connection:
        look = Look(whole, connection)
        assert column.pick is not None and column.value is not None
        row = column.pick(look, column.table)
        plan = Planned(look.table(column.table), row, column.name, column.value(look, column.table, column.name, row))
    assert plan.value != row[column.name], f"{column.key}: it is the same"
    _write(whole, plan, plan.where, plan.value)
    try:
        yield plan
    finally:
        _write(whole, plan, plan.after, row[column.name])


def _write(whole: Whole, plan: Planned, where: dict[str, object], value: object) -> None:
    same = [plan.table.c[name] == key for name, key in where.items()]
    with writing(whole.engine) as connection:
        assert connection.execute(update(plan.table).where(*same).values({plan.column: value})).rowcount == 1


def _set(engine: Engine, plan: Planned) -> None:
    same = [plan.table.c[name] == key for name, key in plan.where.items()]
    with writing(engine) as connection:
        assert connection.execute(update(plan.table).where(*same).values({plan.column: plan.value})).rowcount == 1


# --- the tests --------------------------------------------------------------------------------------------------------
def test_the_list_holds_each_column_once() -> None:
    there = {f"{table.name}.{column.name}" for table in tables.metadata.tables.values() for column in table.columns}
    listed = [f"{each.table}.{each.name}" for each in LIST if not each.part]
    split = {f"{each.table}.{each.name}" for each in LIST if each.part}
    assert len(listed) == len(set(listed)) and not split & set(listed)
    assert (set(listed) | split) - {"alembic_version.version_num"} == there
    assert all(bool(each.check) != bool(each.why) for each in LIST)
    assert {each.check for each in LIST if each.check} <= RUN.keys() == CHECKS.keys()


def test_the_instance_is_whole_and_nobody_finds_anything_wrong(whole: Whole) -> None:
    kinds = {"accepted", "answered", "failed", "dead", "queued", "in-doubt", "forwarding"}
    assert set(states(whole).values()) == kinds
    with whole.engine.connect() as connection:
        look = Look(whole, connection)
        assert [table for table in tables.metadata.tables if not look.rows(table)] == []
        parts = {each.part for each in LIST if each.table == "instance" and each.part}
        assert {str(row["key"]).partition(" ")[0] for row in look.rows("instance")} == parts, (
            "each key of `instance` is in the list"
        )
        assert leases.holder(connection) == whole.lease.holder
    assert {check: found for check in SILENT if (found := said(whole, check))} == {}


@pytest.mark.sampled(every=4)
@pytest.mark.attack("audit log: one value of any table changed")
@pytest.mark.parametrize("table", dict.fromkeys(each.table for each in LIST if each.check))
def test_who_notices(whole: Whole, table: str) -> None:
    missed = []
    for column in (each for each in LIST if each.table == table and each.check):
        with changed(whole, column) as plan:
            found = said(whole, column.check)
            of = str(plan.row.get("id", "")).partition("/")[0]  # the transfer that a body is of
            names = {
                column.named.format(**row, of=of) for row in (plan.row, dict(plan.row) | {column.name: plan.value})
            }
            if not any(name in text for text in found for name in names):
                missed.append((column.key, column.check, names, found[:3]))
    assert missed == []


# --- keeper and doors at work -----------------------------------------------------------------------------------------
WALKED = [each for each in LIST if each.table != "alembic_version"]
WALKED = WALKED if FULL else random.Random(35).sample(WALKED, len(WALKED) // 10)
# What comes of a change that no row can prevent, and that is no harm. Each is looked at for its columns alone.
COMES = {
    # A message that was changed is not sent: it ends as dead, and its sender is told why.
    "queue": r"(queue|transfer) .*(→ (dead|500|transfer\.tampered|done))|(alarm|finding): new .*|connected to .*"
    r"|log_pending: new (alarm|finding|outcome|transfer\.tampered) .*",
    # A contact is told again what he was told before; a row that was never told is forgotten.
    "alarm": r"mail(ed|: new) .*|alarm .*|log_pending: new (alarm|notice) .*|finding: new .*",
    # An end that was begun, and that stands in the log, is marked in its row again; it is not said once more.
    "vault_destroyed": r"vault_destroyed .*",
    "vault_key_digest": r"vault_key_digest: new .*",  # of the key that now has none
}


@pytest.fixture(scope="module")
def walk(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    if whole.engine.dialect.name != "sqlite":
        pytest.skip("keeper and doors read both databases alike; a copy of a file is cheap")
    return Walk.of(whole, tmp_path_factory.mktemp("walk"))


@pytest.mark.attack("audit log: keeper and doors at work on one changed value")
@pytest.mark.parametrize("column", WALKED, ids=[each.key for each in WALKED])
def test_what_keeper_and_doors_do(whole: Whole, walk: Walk, column: Column) -> None:
    with whole.engine.connect() as connection:
        look = Look(whole, connection)
        row = (column.pick or nth())(look, column.table)
        value = (column.value or plausible)(look, column.table, column.name, row)
        plan = Planned(look.table(column.table), row, column.name, value)
    did = walk.on(lambda engine: _set(engine, plan))
    more = [each for each in did - walk.usual if not CLOSED.fullmatch(each)]
    if plan.column in plan.where:  # the same row under another key
        renamed = {each.replace(str(plan.value), str(row[plan.column])) for each in more}
        more = [each for each in renamed if each not in walk.usual]
    comes = COMES.get(column.table)
    assert [each for each in more if comes is None or not re.fullmatch(comes, each)] == []


# --- rows that are taken away -----------------------------------------------------------------------------------------
GONE = [
    ("vault_hold", where(name="vu-an-2"), "tables", "the hold vu-an-2: entry"),
    ("vault_destroyed", nth(), "tables", "the vault's key {key_id}: entry"),
    ("machine", nth(), "tables", "the machine {name}: missing"),
    ("quota_use", nth(), "tables", "the quota of the grant {grant_id} for {agency}: 0 uses are counted"),
    ("log_index", nth(20), "tables", "entry {idx} "),
    ("log_party", nth(20), "tables", "entry {idx} "),
    ("log_indexed", nth(), "tables", "lie beyond its watermark of 0 entries"),
    ("log_origin", nth(), "ended", "the log {origin}, which ended: its row is missing"),
    ("past_checkpoint", nth(), "ended", "no signed checkpoint"),
    ("past_tile", nth(), "ended", "its tile is missing"),
    *(
        ("instance", where(key=key), "tables", f"instance {key}")
        for key in (
            "feed.epoch",
            f"log.began {ORIGIN}/2",
            "restored",
            "backup.last",
            f"settings.seen {platform.node()}",
        )
    ),
    ("instance", where(key="registry.seal"), "registered", "the registry: its newest seal"),
    ("instance", where(key="registry.revision"), "registered", "the registry is at revision 0"),
    ("instance", where(key="accounts.seal"), "accounts", "the accounts: their map"),
    ("console_account", nth(), "accounts", "the accounts, console_account {id}: missing"),
    ("console_passkey", nth(), "accounts", "the accounts, console_passkey {account} {id}: missing"),
    *(
        (table, nth(), "accounts", f"the accounts, {table} {{account}} {{digest}}: missing")
        for table in ("console_session", "console_link", "console_token")
    ),
]


@pytest.mark.attack("audit log: a row of any table taken away")
@pytest.mark.parametrize(("table", "pick", "check", "named"), GONE, ids=[f"{each[0]}: {each[3]}" for each in GONE])
def test_a_row_taken_away(whole: Whole, table: str, pick: Pick, check: str, named: str) -> None:
    with whole.engine.connect() as connection:
        look = Look(whole, connection)
        row = pick(look, table)
    plan = Planned(look.table(table), row, next(iter(row)), None)
    same = [plan.table.c[name] == key for name, key in plan.where.items()]
    with writing(whole.engine) as connection:
        assert connection.execute(delete(plan.table).where(*same)).rowcount == 1
    try:
        assert any(named.format(**row) in text for text in said(whole, check)), said(whole, check)
    finally:
        with writing(whole.engine) as connection:
            connection.execute(insert(plan.table).values(dict(row)))


# --- what is exempt, and why nothing comes of it ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "value"), [("name", "warden"), ("holder", "door-1"), ("epoch", 1), ("epoch", 9), ("until", 0.0)]
)
def test_the_lease_changed(whole: Whole, column: str, value: object) -> None:
    """Whoever led stops, or goes on as before; a lease that is set to be free is taken with the next epoch, and fences
    the one before."""
    table = tables.lease
    with whole.engine.connect() as connection, connection.begin() as taken_back:
        connection.execute(update(table).where(table.c.name == whole.lease.name).values({column: value}))
        if column == "until":
            assert leases.take(connection, "keeper-2", whole.now) is not None
        with pytest.raises(Failure) as stopped:
            leases.check(connection, whole.lease)
        taken_back.rollback()
    assert stopped.value.code == "audit.lease-lost"
