"""Every column of every table: a plausible change of one value, and the check that notices it; or why nobody needs to.

`test_attack_log_columns.py` walks this list over a whole instance on both databases, and holds it complete against the
tables. The section of `docs/audit-log.md` is made from it: `./lgsp docs` writes it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.attacks.audit.column_kinds import exempt, same
from tests.attacks.audit.picking import (
    Column,
    later,
    like,
    made,
    now,
    nth,
    of,
    other,
    plus,
    re_entered,
    swapped_hashes,
    to,
    where,
)
from tests.attacks.audit.registrycolumns import registry
from tests.attacks.audit.storecolumns import stores

PAGE = Path(__file__).resolve().parents[3] / "docs" / "audit-log.md"
BEGINS, ENDS = "<!-- columns: made by ./lgsp docs -->\n", "<!-- end of columns -->"


# --- checks, by the words that people know them by --------------------------------------------------------------------
CHECKS = {
    "log": "`audit verify`: the log",
    "rows": "`audit verify`: transfers, feeds, queue",
    "tables": "`audit verify`: tables around the log",
    "registered": "`audit verify`, `doctor`: the registry",
    "accounts": "`audit verify`, `doctor`: who may sign in",
    "ended": "`audit verify --origin` of the log that ended; how many entries, `audit verify`",
    "outside": "`audit verify --witness`, `--stamp-anchors`",
    "sequencer": "the sequencer refuses: `audit.inconsistent`",
    "vault": "opening the body refuses: `vault.broken`",
}


def _transfer() -> Iterator[Column]:
    answered, alert = of("answered 1"), of("alert 4")
    yield from same(
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
    yield from exempt(
        "transfer",
        "which process has it in hand; a wrong one makes it in doubt, which is logged, and of what has "
        "ended it says nothing",
        "process",
    )


def _log() -> Iterator[Column]:
    middle = nth(30)
    yield from same(
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
    yield from same(
        "log_tile",
        "log",
        "",
        {"level": (nth(), to(1)), "number": (nth(), to(1)), "hashes": (nth(), made(swapped_hashes))},
    )
    yield from same(
        "checkpoint",
        "log",
        "checkpoint {size} of the database",
        {"size": (nth(1), plus(1)), "root": (nth(1), other), "note": (nth(1), other)},
    )
    yield Column("checkpoint", "signed", "tables", nth(1), plus(30), "checkpoint {size} of the database")


def _ended() -> Iterator[Column]:
    middle = nth(4)
    yield from same(
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
    yield from same(
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
    yield from same(
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
    yield from same(
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


def _witnessed() -> Iterator[Column]:
    yield Column("cosigned", "size", "log", nth(), plus(-1), "cosigned checkpoint of {size} entries")
    plain = lambda look, *_: look.rows("checkpoint")[-1]["note"]  # noqa: E731  the same without the witness's line
    yield Column("cosigned", "note", "outside", nth(), plain, "cosigned checkpoint of {size} entries")
    yield Column("cosigned", "witnesses", "tables", nth(), plus(1), "cosigned checkpoint of {size} entries")
    yield Column("cosigned", "at", "tables", nth(), plus(-3600), "cosigned checkpoint of {size} entries")
    first, second = nth(0), nth(1)
    stamp = "time-stamp {id} of the checkpoint of {size} entries"
    yield Column("stamp", "id", "tables", first, plus(10), "time-stamp {id}")
    yield Column("stamp", "size", "log", first, plus(1), "the time-stamped checkpoint of {size} entries")
    yield from same(
        "stamp", "outside", stamp, {"digest": (first, other), "question": (first, other), "answer": (first, other)}
    )
    yield Column("stamp", "note", "outside", first, like(second), "{size} entries")
    yield from same(
        "stamp",
        "tables",
        stamp,
        {"authority": (first, to("CN=Stamps 2")), "time": (first, plus(-60)), "received": (second, plus(-3600))},
    )
    stamps = where(kind="stamps")
    yield from same(
        "vouching",
        "tables",
        "witnessing {kind}",
        {
            "kind": (stamps, to("authority")),
            "size": (stamps, plus(1)),
            "at": (stamps, plus(3600)),
            "told": (stamps, now),
        },
    )
    yield from exempt(
        "vouching",
        "for people to read; the keeper makes it anew at each round, and what opens the doors is proved "
        "from notes and stamps",
        "behind",
        "trouble",
    )


def columns() -> Sequence[Column]:
    """The whole list."""
    return tuple(each for group in (_transfer, _log, _ended, _witnessed, stores, registry) for each in group())


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


def whole_page() -> str:
    """The page with the list between its marks."""
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGINS)[0], text.partition(ENDS)[2]
    return f"{before}{BEGINS}{page()}{ENDS}{after}"
