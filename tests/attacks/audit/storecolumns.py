"""The part of the list in `columns.py` about feeds, vault, journal and instance."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gateway.audit.verify.rows.instance import key_of
from gateway.journal.schema import console_tables, mail_table, push_tables, tables
from tests.attacks.audit.alarmcolumns import alarms
from tests.attacks.audit.casecolumns import cases
from tests.attacks.audit.column_kinds import exempt, same
from tests.attacks.audit.machinecolumns import machines
from tests.attacks.audit.picking import (
    Column,
    Look,
    Pick,
    Row,
    Value,
    another,
    json_with,
    later,
    like,
    made,
    now,
    nth,
    of,
    part,
    plus,
    plus_one,
    to,
    where,
)
from tests.attacks.audit.workflowcolumns import handlings


def _feeds() -> Iterator[Column]:
    event, waiting = of("alert 4"), of("pending 2")
    named = "{transfer}"
    yield from same(
        "feed_event",
        "rows",
        named,
        {
            "contract": (event, to("observation/v1")),
            "offset": (event, plus(1000)),
            "transfer": (event, lambda look, *_: look.whole.made["answered 1"]),
            "event": (event, like(of("alert 5"))),
            "body_ref": (event, like(of("alert 5"))),
            "sequenced": (event, plus(-7200)),
        },
    )
    yield from same(
        "feed_pending",
        "rows",
        named,
        {
            "contract": (waiting, to("observation/v1")),
            "transfer": (waiting, lambda look, *_: look.whole.made["answered 1"]),
            "event": (waiting, like(of("pending 1"))),
            "body_ref": (waiting, like(of("pending 1"))),
        },
    )
    yield Column("feed_pending", "id", "tables", of("pending 1"), plus(1000), named)
    key = of("alert 4")
    yield from same(
        "feed_key",
        "rows",
        "the business key of transfer",
        {
            **{name: (key, made(lambda text: f"{text}0")) for name in ("key", "content", "reference", "agency")},
            "contract": (key, to("observation/v1")),
            "transfer": (key, lambda look, *_: look.whole.made["answered 1"]),
            "state": (key, to("recalled")),
            "changed": (key, like(of("alert 5"))),
            "previous": (key, lambda look, *_: look.whole.made["alert 5"]),
            "seal": (key, like(of("alert 5"))),
        },
    )
    past = of("first alert")
    yield from same(
        "feed_key_past",
        "rows",
        "a past row of a business key",
        {
            **{name: (past, made(lambda text: f"{text}0")) for name in ("key", "content", "reference", "agency")},
            "contract": (past, to("observation/v1")),
            "transfer": (past, lambda look, *_: look.whole.made["answered 1"]),
            "state": (past, to("recalled")),
            "changed": (past, lambda look, *_: look.whole.made["alert 5"]),
            "previous": (past, lambda look, *_: look.whole.made["alert 5"]),
            "seal": (past, made(lambda text: f"{text}0")),
            "replaced": (past, lambda look, *_: look.whole.made["alert 5"]),
        },
    )
    yield from exempt(
        "feed_keyed",
        "how far older events were taken up; to take one up again changes nothing",
        "contract",
        "upto",
        "rules",
    )
    ends = of("ends later")
    yield from same(
        "feed_expiry",
        "rows",
        named,
        {
            "transfer": (ends, lambda look, *_: look.whole.made["answered 1"]),
            "contract": (ends, to("observation/v1")),
            "expires": (ends, plus(-3600)),
        },
    )
    queued = of("queued 1")
    yield from same(
        "queue",
        "rows",
        named,
        {
            "transfer": (queued, lambda look, *_: look.whole.made["answered 1"]),
            "provider": (queued, to("do-thi")),
            "body_ref": (queued, like(of("queued 2"))),
            "state": (queued, to("done")),
            "next_at": (queued, plus(30 * 86_400)),
        },
    )
    yield from exempt(
        "queue",
        "how often it was tried: the policy gives it up sooner or later by it, and the outcome's entry says so",
        "tries",
    )
    yield from exempt(
        "queue", "why the last try failed, for people; the outcome's entry says how it ended", "last_failure"
    )
    yield from exempt("queue", "which keeper took it up; the lease decides who may end it", "epoch")
    yield from exempt(
        "queue",
        "when and in which order a message goes, as `next_at`; what is sent is decided by the transfer alone",
        "priority",
        "order_key",
        "place",
    )
    yield from exempt(
        "queue",
        "the note to the sender that its transfer ended, which `/transfers/{id}` tells too",
        "callback",
        "callback_tries",
        "callback_at",
        "callback_failure",
    )


def _vault() -> Iterator[Column]:
    body = part("canonical", "alert 4")
    yield Column(
        "vault", "id", "rows", body, lambda look, *_: f"{look.whole.made['answered 1']}/canonical", "transfer {of}"
    )
    yield Column("vault", "key_id", "rows", body, made(lambda key: key.replace(".m24", ".short")), "transfer {of}")
    yield Column("vault", "size", "rows", body, plus(1), "transfer {of}")
    came_back = "provider-answer"  # which is bound to its own name alone
    yield Column("vault", "sealed", "vault", part(came_back, "answered 1"), like(part(came_back, "answered 2")), "{id}")
    yield from exempt(
        "opaque_body",
        "counts what waits of an agency, and says what is to be removed; a file that is gone is found by its entry",
        "id",
        "agency",
        "size",
    )
    yield from exempt(
        "opaque_use",
        "keeps a file from being removed, and under a hold; who may fetch it, the sealed message and description say",
        "body",
        "transfer",
    )
    destroyed = nth()
    yield from same(
        "vault_destroyed",
        "tables",
        "the vault's key {key_id}",
        {
            "key_id": (destroyed, made(lambda key: key.replace("short", "m24"))),
            "began": (destroyed, plus(-3600)),
            "destroyed": (destroyed, to(None)),
            "bodies": (destroyed, plus(-1)),
            "bytes": (destroyed, plus(-90)),
        },
    )
    hold = where(name="vu-an-1")
    yield from same(
        "vault_hold",
        "tables",
        "the hold {name}",
        {
            "name": (hold, to("vu-an-3")),
            "reason": (hold, to("Công văn 99/CV-CA")),
            "actor": (hold, to("lan, command line")),
            "since": (hold, plus(-3600)),
            "released": (hold, now),
            "transfers": (hold, lambda look, *_: json.dumps([look.whole.made["alert 2"]])),
            "agency": (hold, to("H14.2")),
            "contract": (hold, to("incident-alert/v1")),
            "begins": (hold, now),
            "ends": (hold, now),
        },
    )
    yield from exempt(
        "vault_hold", "how far the keeper is with sealing anew; it looks again before any key is destroyed", "sealed"
    )


def _journal() -> Iterator[Column]:
    yield from exempt(
        "replay",
        "kept for a minute; a key that is gone lets a signed message come again, and then its message id "
        "makes it a repeat: no second transfer",
        "key",
        "expires",
    )
    quota = nth()
    yield from same(
        "quota_use",
        "tables",
        "the quota of the grant {grant_id} for {agency}",
        {
            "grant_id": (quota, to("G-0902")),
            "agency": (quota, to("H14.22")),
            "per": (quota, to("day")),
            "begins": (quota, plus(-86_400)),
            "used": (quota, plus(-1)),
        },
    )
    index = nth(40)
    named = "entry {idx}"
    yield Column("log_index", "idx", "tables", index, plus(1000), named)
    for name in tables.LOG_INDEXED:
        yield Column("log_index", name, "tables", index, another, named)
    for name in ("party", "idx"):
        yield Column("log_party", name, "tables", nth(40), plus(1000), "its agencies are others")
    yield Column("log_indexed", "name", "tables", nth(), to("found"), "watermark")
    yield Column("log_indexed", "upto", "tables", nth(), plus(-1), "watermark")
    yield Column(
        "log_indexed", "leaf", "tables", nth(), lambda look, *_: look.rows("log_entry")[3]["leaf"], "watermark"
    )
    yield Column(
        "alembic_version", "version_num", why="the start refuses another revision than the program's: `journal.schema`"
    )


def _instance() -> Iterator[Column]:
    def keyed(key: str, check: str, value: Value, named: str = "") -> Column:
        def pick(look: Look, table: str) -> Row:
            return next(row for row in look.rows(table) if row["key"].startswith(key))

        return Column("instance", "value", check, pick, value, named or f"instance {key}", part=key.strip())

    yield keyed("feed.epoch", "tables", to("2"))
    yield keyed("workflow.opened ", "tables", made(lambda text: f"{text}0"))
    yield keyed("log.began ", "tables", lambda look, *_: look.rows("checkpoint")[1]["note"])
    yield keyed("restored", "tables", json_with(confirmed=False))
    yield keyed("backup.last", "tables", json_with(at=1_795_000_000.0))
    yield keyed("settings.seen ", "tables", made(lambda text: text.replace('"61.0"', '"60.0"')))
    applied = where(key="registry.applied")
    yield Column("instance", "key", "tables", applied, to("registry.applied.2"), "{key}: no program")
    for harmless in ("restore.id", "registry.applied", "feed.log", "feed.period"):
        known = key_of(harmless)
        assert known is not None
        yield Column("instance", "value", pick=where(key=harmless), why=known.check, part=harmless)
    yield keyed("identity", "tables", to("{}"), "table instance, row identity: its column value")
    yield keyed("machines.keys", "tables", json_with(generation=7))
    yield keyed("machines.settings", "tables", json_with(body_limit=1))
    yield keyed("machines.stores", "tables", to('["another"]'))
    yield keyed("feed.expiry ", "tables", made(lambda text: f"{int(text) + 10**15}"))
    yield keyed("registry.revision", "registered", plus_one, "the registry is at revision")
    yield keyed(
        "registry.seal",
        "registered",
        json_with(entry="01a1b895-20a7-7b16-83a2-290657d6299a"),
        "the registry: its newest seal",
    )
    yield keyed("accounts.seal", "accounts", json_with(revision=1), "the accounts, instance accounts.seal: altered")


def _console() -> Iterator[Column]:
    """What people sign in by, and what they keep at the console."""
    lan, named = where(id="lan"), "the accounts, console_account {id}"
    account: dict[str, tuple[Pick, Value]] = {
        "id": (lan, to("lan-2")),
        "agency": (lan, to("H14.5")),
        "name": (lan, to("Minh")),
        "roles": (lan, to('["operator"]')),
        "state": (lan, to("disabled")),
        "password": (lan, to("$argon2id$2")),
        "totp": (lan, to(b"of another")),
        "step": (lan, to(None)),
        "created": (lan, plus(-3600)),
        "changed": (lan, plus(-3600)),
    }
    yield from same("console_account", "accounts", named, account)
    count = "failed attempts; whoever sets them back may guess on, and needs password and code all the same"
    yield from exempt("console_account", count, "failed", "locked")
    tables_of: dict[str, dict[str, Value]] = {
        "console_passkey": {
            "id": to("y"),
            "account": to("minh"),
            "public_key": to(b"y"),
            "count": plus(-1),
            "label": to("y"),
            "created": plus(1),
        },
        "console_session": {
            "digest": made(later),
            "account": to("minh"),
            "how": to("passkey"),
            "source": to("192.0.2.8"),
            "opened": plus(3600),
            "expires": plus(3600),
        },
        "console_link": {
            "digest": made(later),
            "account": to("minh"),
            "made_by": to("minh"),
            "expires": plus(3600),
        },
        "console_token": {
            "digest": made(later),
            "account": to("minh"),
            "label": to("y"),
            "created": plus(-3600),
            "expires": plus(3600),
        },
    }
    for table, values in tables_of.items():
        (key,) = (column.name for column in tables.metadata.tables[table].primary_key.columns)
        columns = {name: (nth(), value) for name, value in values.items()}
        yield from same(table, "accounts", f"the accounts, {table} {{account}} {{{key}}}", columns)
    idle = "when it was last used; whoever has its cookie may stretch the half hour up to the twelve of `expires`"
    yield from exempt("console_session", idle, "seen")
    yield from exempt(
        "console_challenge",
        "used up within minutes; each is bound to its purpose",
        *console_tables.console_challenge.c.keys(),
    )
    yield from exempt("console_filter", "kept searches, for their owner", *console_tables.console_filter.c.keys())
    job = "orders to the keeper and their progress; each act of it is an entry, and the queue decides what is sent"
    yield from exempt("console_job", job, *console_tables.console_job.c.keys())
    yield from exempt("console_job_item", job, *console_tables.console_job_item.c.keys())
    draft = "what waits for a second person, under its maker's seal; the entry of a publication has what is in force"
    yield from exempt("console_draft", draft, *console_tables.console_draft.c.keys())


def _notices() -> Iterator[Column]:
    mail = "what a mail tells; nothing is decided by it, its address is the registry's, and its end is an entry"
    yield from exempt("mail", mail, *mail_table.mail.c.keys())


def _reports() -> Iterator[Column]:
    row = "figures of reports; one whose figures are not those of its entry's digest is not given out"
    yield from exempt("report", row, *tables.report.c.keys())


def _push() -> Iterator[Column]:
    """An auditor's account has no key of the seals; the doctor has."""
    row = "under two seals; nothing is sent by a row that does not hold, and `doctor` names it"
    yield from exempt("push_subscription", row, *push_tables.push_subscription.c.keys())
    yield from exempt("push_attempt", "what came of the newest tries", *push_tables.push_attempt.c.keys())
    key = "sealed with its number and time: one that was changed does not open, and signs nothing"
    yield from exempt("push_key", key, *push_tables.push_key.c.keys())


def stores() -> Iterator[Column]:
    for group in (
        _feeds,
        handlings,
        _push,
        _notices,
        alarms,
        _reports,
        cases,
        _vault,
        _journal,
        _instance,
        machines,
        _console,
    ):
        yield from group()
