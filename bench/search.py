"""Measures searching the audit log: page one of a long log against page one of a much shorter one, in one run.

Entries are as large as real ones (certificates, digests, codes), with many parties. Each question uses another word.
Invariant: every timed page is compared with the result of reading the entries.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Final

from sqlalchemy import Engine, insert

from bench.rows import Row, row
from contracts.base.ids import new_id
from gateway.audit.search.index import Indexer
from gateway.audit.search.search import Query, reading, search
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from security.transparency import entry as form

START: Final = 1_795_500_000.0
_CHUNK: Final = 5_000
_AGENCIES: Final = [f"H14.{number}" for number in range(1, 121)]
_SYSTEMS: Final = [f"he-thong-{number:03}" for number in range(400)]
_CONTRACTS: Final = [f"hop-dong-{number:02}/v1" for number in range(60)]
_CODES: Final = [
    "access.no-grant",
    "provider.timeout",
    "body.invalid",
    "signature.wrong",
    "message.replayed",
    "access.quota",
]


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    number, few, page = (
        (40_000, 4_000, 10) if quick else (1_000_000, 10_000, 50)
    )  # so that pages are full on both sides
    rounds = 5 if quick else 9
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-search-") as folder:
        say(f"audit-search: {number:,} entries")
        small, large = (_filled(Path(folder), size, say) for size in (few, number))
        took, against, pages = [], [], list[float]()
        for at in range(rounds):
            took.append(_rate(large, number, page, Random(at), pages))
            against.append(_rate(small, few, page, Random(at), []))
        with large.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        size = (Path(folder) / f"{number}.db").stat().st_size
        for engine in (small, large):
            engine.dispose()
    return row(
        "audit-search-million",
        "pages/s",
        took,
        {f"the same of {few:,}": against},
        {
            "page_one_ms": median(pages) * 1000,
            "page_one_p99_ms": quantiles(pages, n=100)[98] * 1000,
            "entries": number,
            "bytes_an_entry_with_log_and_index": size / number,
        },
    )


def _rate(engine: Engine, number: int, limit: int, chance: Random, pages: list[float]) -> float:
    """Pages per second of processor time over one round of questions. The wall time of each page goes to `pages`."""
    end = START + number * 0.1
    questions = [
        Query(),
        Query(agency=chance.choice(_AGENCIES)),
        Query(system=chance.choice(_SYSTEMS), oldest_first=True),
        Query(contract=chance.choice(_CONTRACTS), outcome="ok"),
        Query(agency=chance.choice(_AGENCIES), role="provider"),
        Query(outcome="refused", failure=chance.choice(_CODES)),
        Query(grant=f"G-{(grant := chance.randrange(300)):04}", contract=_CONTRACTS[grant % 60]),
        Query(message=form.keyed(b"k", str(chance.randrange(number)))),
        Query(outcome="failed", since=START + (end - START) * 0.3, until=START + (end - START) * 0.6),
    ]
    began = time.process_time()
    for query in questions:
        before = time.perf_counter()
        with reading(engine) as connection:
            page = search(connection, query, limit=limit)
        pages.append(time.perf_counter() - before)
        if not all(query.fits(hit.facts) for hit in page.hits) or page.disagree:
            raise AssertionError(f"a page of {query} holds what does not fit")
    return len(questions) / (time.process_time() - began)


def _filled(folder: Path, number: int, say: Callable[[str], None]) -> Engine:
    engine = open_engine(f"sqlite:///{folder / f'{number}.db'}")
    migrate(engine)
    fill(engine, number, say)
    return engine


def fill(engine: Engine, number: int, say: Callable[[str], None]) -> None:
    """Writes a log of `number` entries, and its index."""
    chance = Random(number)
    entries = _entries(chance, number)
    for start in range(0, number, _CHUNK):
        values = []
        for idx, (at, one) in zip(range(start, min(start + _CHUNK, number)), entries, strict=False):
            transfer, phase, raw, leaf = form.freeze(one)
            values.append(
                {"idx": idx, "transfer": transfer, "phase": phase, "entry": raw, "leaf": leaf, "sequenced": at + 0.2}
            )
        with writing(engine) as connection:
            connection.execute(insert(tables.log_entry), values)
    indexer = Indexer(engine, None, limit=_CHUNK)
    for done in indexer.remake():
        say(f"audit-search: {done:,} of {number:,} indexed")


def _entries(chance: Random, number: int) -> Iterator[tuple[float, form.Entry]]:
    """Exchanges in order: an intent and its outcome, sometimes a refusal."""
    digest, bundle = form.Digest(bytes(range(32)), 1024), "sha256:" + "ab" * 32
    for at in range(number):
        now = START + at * 0.1
        party = chance.randrange(400)
        caller = form.Caller(_AGENCIES[party % 120], _SYSTEMS[party], "c" * 43, f"{_SYSTEMS[party]}.sign-1")
        contract, id = _CONTRACTS[party % 60], new_id(int(now * 1000))
        message, grant = form.keyed(b"k", str(at)), f"G-{party % 300:04}"
        if chance.random() < 0.04:
            code = chance.choice(_CODES)
            yield (
                now,
                form.Refusal(
                    id, now, "rest", code, 403, caller, None, contract, "createRequest", message, nearest=grant
                ),
            )
            continue
        giving = (party * 7) % 400
        provider = _SYSTEMS[giving]
        agency = _AGENCIES[giving % 120]
        yield (
            now,
            form.Intent(
                id,
                now,
                "rest",
                caller,
                contract,
                "createRequest",
                bundle,
                message,
                grant,
                provider,
                digest,
                provider_agency=agency,
            ),
        )
        if chance.random() < 0.02:
            yield now, form.Outcome(id, now, 502, provider, "provider.timeout")
        else:
            yield now, form.Outcome(id, now, 200, provider, sent=digest, came_back=digest, answered=digest)
