"""Every column of every table: a plausible change of one value, and the check that notices it; or why nobody needs to.

`test_attack_log_columns.py` walks this list over a whole instance on both databases, and holds it complete against the tables. The section of
`docs/audit-log.md` is made from it: `python -m tests.attacks.audit.columns` writes it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.journal.schema import tables
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
    other,
    part,
    plus,
    plus_one,
    re_entered,
    swapped_hashes,
    to,
    where,
)
from tests.attacks.audit.registrycolumns import registry

PAGE = Path(__file__).resolve().parents[3] / "docs" / "audit-log.md"
BEGINS, ENDS = "<!-- columns: python -m tests.attacks.audit.columns -->\n", "<!-- end of columns -->"


# --- checks, by the words that people know them by ----------------------------------------------------------------------
CHECKS = {
    "log": "`audit verify`: the log",
    "rows": "`audit verify`: transfers, feeds, queue",
    "tables": "`audit verify`: tables around the log",
    "registered": "`audit verify`, `doctor`: the registry",
    "ended": "`audit verify --origin` of the log that ended; how many entries, `audit verify`",
    "outside": "`audit verify --witness`, `--stamp-anchors`",
    "sequencer": "the sequencer refuses: `audit.inconsistent`",
    "vault": "opening the body refuses: `vault.broken`",
}


# --- the list -----------------------------------------------------------------------------------------------------------
def _same(table: str, check: str, named: str, columns: Mapping[str, tuple[Pick, Value]]) -> Iterator[Column]:
    for name, (pick, value) in columns.items():
        yield Column(table, name, check, pick, value, named)


def _exempt(table: str, why: str, *names: str) -> Iterator[Column]:
    for name in names:
        yield Column(table, name, why=why)


def _transfer() -> Iterator[Column]:
    answered, alert = of("answered 1"), of("alert 4")
    yield from _same(
        "transfer",
        "rows",
        "transfer {id}",
        {
            "id": (alert, made(later)),
            "state": (of("refused by its provider"), to("answered")),
            "pattern": (answered, to("submit")),
            "caller_system": (alert, like(of("alert 2"))),
            "caller_agency": (alert, like(of("alert 2"))),
            "contract": (alert, to("field-report/v1")),
            "bundle": (alert, like(answered)),
            "operation": (alert, like(answered)),
            "message_id": (alert, to("alert 7")),
            "grant_id": (alert, like(of("alert 2"))),
            "provider": (answered, like(of("asked"))),
            "status": (answered, to(202)),
            "failure": (of("refused by its provider"), to("provider.timeout")),
            "receipt": (answered, like(of("answered 2"))),
            "finished": (answered, plus(3600)),
            "received": (answered, plus(-3600)),
            "committed": (answered, plus(-3600)),
            "answer_ref": (answered, like(of("answered 2"))),
            "payload_digest": (answered, like(of("answered 2"))),
            "idempotent": (of("in doubt"), to(True)),
        },
    )
    yield from _exempt(
        "transfer",
        "which process has it in hand; a wrong one makes it in doubt, which is logged, and of what has ended it says nothing",
        "process",
    )


def _log() -> Iterator[Column]:
    middle = nth(30)
    yield from _same(
        "log_entry",
        "log",
        "entry {idx}",
        {
            "idx": (middle, plus(1000)),
            "transfer": (middle, lambda look, *_: look.rows("log_entry")[1]["transfer"]),
            "phase": (of("answered 1", phase="intent"), to("outcome#2")),
            "entry": (middle, made(re_entered)),
            "leaf": (middle, other),
            "sequenced": (middle, plus(-3600)),
        },
    )
    pending = of("pending 2", phase="intent")
    yield Column("log_pending", "id", "tables", pending, plus(1000), "{transfer}")
    yield Column("log_pending", "transfer", "rows", pending, lambda look, *_: look.whole.made["alert 4"], "{transfer}")
    yield Column("log_pending", "phase", "rows", pending, to("queued"), "{transfer}")
    yield Column("log_pending", "entry", "sequencer", pending, made(re_entered), "{transfer}")
    yield Column("log_pending", "leaf", "sequencer", pending, other, "{transfer}")
    yield from _same(
        "log_tile",
        "log",
        "",
        {"level": (nth(), to(1)), "number": (nth(), to(1)), "hashes": (nth(), made(swapped_hashes))},
    )
    yield from _same(
        "checkpoint",
        "log",
        "checkpoint {size} of the database",
        {"size": (nth(1), plus(1)), "root": (nth(1), other), "note": (nth(1), other)},
    )
    yield Column("checkpoint", "signed", "tables", nth(1), plus(30), "checkpoint {size} of the database")


def _ended() -> Iterator[Column]:
    middle = nth(4)
    yield from _same(
        "past_entry",
        "ended",
        "entry {idx}",
        {
            "idx": (middle, plus(1000)),
            "transfer": (middle, lambda look, *_: look.rows("past_entry")[0]["transfer"]),
            "phase": (where(phase="intent"), to("outcome#2")),
            "entry": (middle, made(re_entered)),
            "leaf": (middle, other),
            "sequenced": (middle, plus(-3600)),
        },
    )
    yield Column("past_entry", "origin", "ended", nth(8), to("tinh.example/lgsp/2"), "tinh.example/lgsp")
    yield from _same(
        "past_tile",
        "ended",
        "",
        {
            "origin": (nth(), to("tinh.example/lgsp/2")),
            "level": (nth(), to(1)),
            "number": (nth(), to(1)),
            "hashes": (nth(), made(swapped_hashes)),
        },
    )
    point = nth()
    yield from _same(
        "past_checkpoint",
        "ended",
        "checkpoint {size} of the database",
        {
            "size": (point, plus(-1)),
            "root": (point, lambda look, table, column, row: look.rows("checkpoint")[0]["root"]),
        },
    )
    yield Column("past_checkpoint", "origin", "ended", point, to("tinh.example/lgsp/2"), "")
    yield Column(
        "past_checkpoint",
        "note",
        "ended",
        point,
        lambda look, *_: look.rows("checkpoint")[0]["note"],
        "checkpoint {size}",
    )
    yield Column("past_checkpoint", "signed", "tables", point, plus(30), "checkpoint {size} of the log {origin}")
    yield from _same(
        "log_origin",
        "tables",
        "{origin}",
        {
            "origin": (nth(), to("tinh.example/lgsp/7")),
            "number": (nth(), to(2)),
            "vkey": (nth(), lambda look, *_: look.whole.vkey),
            "size": (nth(), plus(-1)),
            "note": (nth(), lambda look, *_: look.rows("checkpoint")[0]["note"]),
            "ended": (nth(), plus(-3600)),
        },
    )


def _vouched() -> Iterator[Column]:
    yield Column("cosigned", "size", "log", nth(), plus(-1), "cosigned checkpoint of {size} entries")
    plain = lambda look, *_: look.rows("checkpoint")[-1]["note"]  # noqa: E731  the same without the witness's line
    yield Column("cosigned", "note", "outside", nth(), plain, "cosigned checkpoint of {size} entries")
    yield Column("cosigned", "witnesses", "tables", nth(), plus(1), "cosigned checkpoint of {size} entries")
    yield Column("cosigned", "at", "tables", nth(), plus(-3600), "cosigned checkpoint of {size} entries")
    first, second = nth(0), nth(1)
    stamp = "time-stamp {id} of the checkpoint of {size} entries"
    yield Column("stamp", "id", "tables", first, plus(10), "time-stamp {id}")
    yield Column("stamp", "size", "log", first, plus(1), "the time-stamped checkpoint of {size} entries")
    yield from _same(
        "stamp", "outside", stamp, {"digest": (first, other), "question": (first, other), "answer": (first, other)}
    )
    yield Column("stamp", "note", "outside", first, like(second), "{size} entries")
    yield from _same(
        "stamp",
        "tables",
        stamp,
        {"authority": (first, to("CN=Stamps 2")), "time": (first, plus(-60)), "received": (second, plus(-3600))},
    )
    vouched = where(kind="stamps")
    yield from _same(
        "vouching",
        "tables",
        "vouching {kind}",
        {
            "kind": (vouched, to("authority")),
            "size": (vouched, plus(1)),
            "at": (vouched, plus(3600)),
            "told": (vouched, now),
        },
    )
    yield from _exempt(
        "vouching",
        "for people to read; the keeper makes it anew at each round, and what opens the doors is proved from notes and stamps",
        "behind",
        "trouble",
    )


def _feeds() -> Iterator[Column]:
    event, waiting = of("alert 4"), of("pending 2")
    named = "{transfer}"
    yield from _same(
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
    yield from _same(
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
    queued = of("queued 1")
    yield from _same(
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
    yield from _exempt(
        "queue",
        "how often it was tried: the policy gives it up sooner or later by it, and the outcome's entry says so",
        "tries",
    )
    yield from _exempt(
        "queue", "why the last try failed, for people; the outcome's entry says how it ended", "last_failure"
    )
    yield from _exempt("queue", "which keeper took it up; the lease decides who may end it", "epoch")


def _vault() -> Iterator[Column]:
    body = part("canonical", "alert 4")
    yield Column(
        "vault", "id", "rows", body, lambda look, *_: f"{look.whole.made['answered 1']}/canonical", "transfer {of}"
    )
    yield Column("vault", "key_id", "rows", body, made(lambda key: key.replace(".m24", ".short")), "transfer {of}")
    yield Column("vault", "size", "rows", body, plus(1), "transfer {of}")
    came_back = "provider-answer"  # which is bound to its own name alone
    yield Column("vault", "sealed", "vault", part(came_back, "answered 1"), like(part(came_back, "answered 2")), "{id}")
    destroyed = nth()
    yield from _same(
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
    yield from _same(
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
    yield from _exempt(
        "vault_hold", "how far the keeper is with sealing anew; it looks again before any key is destroyed", "sealed"
    )


def _journal() -> Iterator[Column]:
    yield from _exempt(
        "replay",
        "kept for a minute; a key that is gone lets a signed message come again, and then its message id makes it a repeat: no second transfer",
        "key",
        "expires",
    )
    yield from _exempt(
        "process",
        "leases of processes, renewed each second; a wrong one stops or delays a process and is fenced by the journal, and decides nothing else",
        *tables.process.c.keys(),
    )
    yield from _exempt(
        "lease",
        "the lease of the leading keeper; whoever is overtaken stops, and each signature is held against the checkpoint outside the database",
        *tables.lease.c.keys(),
    )
    quota = nth()
    yield from _same(
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
    yield keyed("log.began ", "tables", lambda look, *_: look.rows("checkpoint")[1]["note"])
    yield keyed("restored", "tables", json_with(confirmed=False))
    yield keyed("backup.last", "tables", json_with(at=1_795_000_000.0))
    yield keyed("settings.seen ", "tables", made(lambda text: text.replace('"61.0"', '"60.0"')))
    yield Column("instance", "key", "tables", where(key="restored"), to("restored.before"), "instance restored")
    yield Column(
        "instance",
        "value",
        why="tells an interrupted restore whose database it filled; nobody reads it later",
        part="restore.id",
    )
    yield Column(
        "instance",
        "value",
        why="when a registry document was applied last; nobody decides by it",
        part="registry.applied",
    )
    yield keyed("registry.revision", "registered", plus_one, "the registry is at revision")
    yield keyed(
        "registry.seal",
        "registered",
        json_with(entry="01a1b895-20a7-7b16-83a2-290657d6299a"),
        "the registry: its newest seal",
    )


def columns() -> Sequence[Column]:
    """The whole list."""
    return tuple(
        each
        for group in (_transfer, _log, _ended, _vouched, _feeds, _vault, _journal, _instance, registry)
        for each in group()
    )


def page() -> str:
    """The list as Markdown: columns by table and check, then those that are exempt, with the reason."""
    noticed: dict[tuple[str, str], list[str]] = {}
    exempt: dict[tuple[str, str], list[str]] = {}
    for each in columns():
        name = f"`{each.part}`" if each.part else f"`{each.name}`"
        if each.exempt:
            exempt.setdefault((each.table, each.why), []).append(name)
        else:
            noticed.setdefault((each.table, CHECKS[each.check]), []).append(name)
    lines = ["| table | columns | who notices a change |", "|---|---|---|"]
    lines += [f"| `{table}` | {', '.join(names)} | {check} |" for (table, check), names in noticed.items()]
    lines += ["", "Exempt:", "", "| table | columns | why |", "|---|---|---|"]
    lines += [f"| `{table}` | {', '.join(names)} | {why} |" for (table, why), names in exempt.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGINS)[0], text.partition(ENDS)[2]
    PAGE.write_text(f"{before}{BEGINS}{page()}{ENDS}{after}", "utf-8")


if __name__ == "__main__":
    main()
