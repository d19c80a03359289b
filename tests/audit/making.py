"""Logs for the tests of searching: entries of every kind, of few words, so that conditions meet; and the plain
specification of a search."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from sqlalchemy import Connection, delete, insert

from contracts.base.ids import new_id
from gateway.audit.search import facts
from gateway.audit.search.search import Query
from gateway.journal.schema import tables
from security.transparency import entry as form

START = 1_795_500_000.0
AGENCIES = ("H14.1", "H14.2", "H14.5")
SYSTEMS = ("canh-bao", "phan-anh", "do-thi")
CONTRACTS = ("incident-alert/v1", "field-report/v1")
OPERATIONS = ("submitAlert", "createRequest", "readValues")
CODES = ("access.no-grant", "provider.timeout", "message.replayed")
GRANTS = ("G-0001", "G-0002")
ACTORS = ("command line", "gateway", "H14.1/canh-bao")
KEY = b"k" * 32


def entries(
    chance: Random, number: int, start: float = START, *, step: float = 0.4
) -> Iterator[tuple[float, form.FrozenEntry]]:
    """Frozen entries with their times of sequencing: intents, and later what became of them, in no particular order."""
    open_: list[tuple[str, str]] = []
    now, made = start, 0
    while made < number:
        now += chance.choice((0.0, step / 4, step))
        for one in _some(chance, now, open_):
            yield now, form.freeze(one)
            made += 1
            if made == number:
                return


def _some(chance: Random, now: float, open_: list[tuple[str, str]]) -> list[form.Entry]:
    caller = form.Caller(chance.choice(AGENCIES), chance.choice(SYSTEMS), "c" * 43, "key-1")
    digest = form.Digest(bytes(32), 100)
    id, roll = new_id(int(now * 1000)), chance.random()
    code, provider = chance.choice(CODES), chance.choice(SYSTEMS)
    message = form.keyed(KEY, f"m-{chance.randrange(40)}")
    if roll < 0.35 or not open_:
        open_.append((id, provider))
        contract, operation, grant = chance.choice(CONTRACTS), chance.choice(OPERATIONS), chance.choice(GRANTS)
        return [
            form.Intent(
                id,
                now,
                "rest",
                caller,
                contract,
                operation,
                "sha256:" + "0" * 64,
                message,
                grant,
                provider,
                digest,
                provider_agency=chance.choice((*AGENCIES, None)),
            )
        ]
    of = chance.choice(open_)
    if roll < 0.65:
        open_.remove(of)
        if chance.random() < 0.7:
            return [form.Outcome(of[0], now, 200, of[1], sent=digest, came_back=digest, answered=digest)]
        return [form.Outcome(of[0], now, 502, of[1], failure=code)]
    if roll < 0.78:
        known = chance.random() < 0.6
        return [
            form.Refusal(
                id, now, "soap", code, 403, caller if known else None, None if known else "192.0.2.1",
                chance.choice((*CONTRACTS, None)), chance.choice((*OPERATIONS, None)), message if known else None,
                nearest=chance.choice((*GRANTS, None)), count=chance.choice((1, 1, 7)),
            )
        ]  # fmt: skip
    if roll < 0.85:
        return [form.Repeat(id, now, "rest", caller, of[0], 200)]
    if roll < 0.9:
        return [form.InDoubt(of[0], now, "door-1", chance.choice((code, "process dead")))]
    if roll < 0.94:
        return [form.Note(of[0], now, "queued", "gateway", {"failure": code, "provider": of[1]})]
    if roll < 0.97:
        return [form.Note(id, now, "body-view", "officer-1", {"transfer": of[0], "reason": "kiểm tra"})]
    return [
        form.Note(
            id,
            now,
            chance.choice(("registry", "export", "feed-read")),
            chance.choice(ACTORS),
            {"grant": chance.choice(GRANTS), "owners": chance.sample(AGENCIES, chance.randrange(3))},
        )
    ]


def write(connection: Connection, rows: Sequence[tuple[float, form.FrozenEntry]], start: int = 0) -> None:
    """As the sequencer does, without its tiles: the indexes go on from `start`."""
    table, values = tables.log_entry, []
    for at, (sequenced, (transfer, phase, raw, leaf)) in enumerate(rows):
        name = (
            f"{phase}#{start + at}" if phase in ("in-doubt", "queued") else phase
        )  # a transfer may have several of these
        values.append(
            {"idx": start + at, "transfer": transfer, "phase": name, "entry": raw, "leaf": leaf, "sequenced": sequenced}
        )
    if values:
        connection.execute(insert(table), values)


def clear(connection: Connection) -> None:
    for table in (tables.log_entry, tables.log_index, tables.log_party, tables.log_indexed, tables.queue, tables.lease):
        connection.execute(delete(table))


def brute(rows: Sequence[tuple[float, form.FrozenEntry]], query: Query) -> list[int]:
    """The indexes that a query finds, by looking at each entry alone, from its text."""
    intents: dict[str, dict[str, Any]] = {}
    found: list[int] = []
    for idx, (sequenced, (transfer, phase, raw, _)) in enumerate(rows):
        value = json.loads(raw)
        if phase == "intent":
            intents[transfer] = value
        about = value.get("of") or value.get("facts", {}).get("transfer") or transfer
        party = intents.get(about, {}) if phase not in ("intent", "refusal") else {}
        told = facts.facts_of(value, transfer, phase, party)
        in_time = (query.since is None or sequenced >= query.since) and (query.until is None or sequenced < query.until)
        if in_time and query.fits(told):
            found.append(idx)
    return found if query.oldest_first else found[::-1]
