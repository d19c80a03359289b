"""Checks the digests of feeds: computes each anew from the rows of the feed.

All events up to the last sealed one must be covered: a row that was changed, deleted or put in changes a digest. An
event that was sequenced in a sealed period, but comes after the last digest of its feed, was put in.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.audit.verify.findings import Findings
from gateway.journal.noted import Noted, read_notes
from gateway.transfer.feed_digests import (
    DIGEST,
    PERIOD_ENDED,
    SEALED,
    Digest,
    contracts_with_events,
    page_of_leaves,
)
from security.transparency.merkle import Frontier
from security.transparency.periods import span_of


def check_digests(connection: Connection, wrong: Findings) -> None:
    by_feed: dict[str, list[Digest]] = {}
    periods: list[tuple[Noted, int, int, int]] = []
    count: dict[int, int] = {}
    for note in read_notes(connection, (DIGEST, PERIOD_ENDED)):
        try:
            if note.what == DIGEST:
                digest = Digest.of(note.facts)
                by_feed.setdefault(digest.contract, []).append(digest)
                count[digest.until] = count.get(digest.until, 0) + 1
            elif note.facts.get("state") == SEALED:
                periods.append((note, *span_of(note.facts)))
        except (KeyError, TypeError, ValueError):
            wrong.add(f"{note.name}: it is no digest of a feed")
    _judge_periods(periods, count, wrong)
    over = periods[-1][2] if periods else float("-inf")
    for contract in sorted({*by_feed, *contracts_with_events(connection)}):
        _judge_feed(connection, contract, by_feed.get(contract, ()), over, wrong)


def _judge_periods(periods: Sequence[tuple[Noted, int, int, int]], count: dict[int, int], wrong: Findings) -> None:
    sealed: int | None = None
    for note, since, until, period in periods:
        wrong.count("sealed periods of feeds", (until - since) // period)
        if sealed is not None and since != sealed:
            wrong.add(f"{note.name}: the periods of the feeds do not follow one another")
        if note.facts.get("feeds") != count.get(until, 0):
            wrong.add(f"{note.name}: it tells of {note.facts.get('feeds')} digests, the log has {count.get(until, 0)}")
        sealed = until


def _judge_feed(connection: Connection, contract: str, sealed: Sequence[Digest], over: float, wrong: Findings) -> None:
    """`over`: until when the periods are sealed. Events after it are in no digest yet."""
    low = 0
    for digest in sealed:
        wrong.count("digests of feeds")
        name = f"the feed {contract}, the period to {digest.facts()['until']}"
        tree, first = Frontier(), 0
        after = low
        while page := page_of_leaves(connection, contract, after, digest.last):
            first = first or page[0][0]
            tree.extend(leaf for _, _, leaf in page)
            after = page[-1][0]
        wrong.count("events in digests", tree.size)
        if digest.after != low:
            wrong.add(f"{name}: it follows the offset {digest.after}; the digest before it ends at {low}")
        if (first, after, tree.size) != (digest.first, digest.last, digest.events):
            wrong.add(
                f"{name}: sealed were {digest.events} events at the offsets {digest.first} to {digest.last}; there are"
                f" {tree.size}" + (f" at {first} to {after}" if tree.size else "")
            )
        elif tree.root.hex() != digest.root:
            wrong.add(f"{name}: its events are not those that were sealed")
        low = max(low, digest.last)
    newer = page_of_leaves(connection, contract, low, None, 1)
    if newer and newer[0][1] < over:
        wrong.add(f"the event {newer[0][0]} of the feed {contract}: its period is sealed, and it is in no digest")
