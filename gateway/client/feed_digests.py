"""Checks that a reader of a feed holds exactly its events: nothing missing, nothing put in, nothing changed.

    digesting = Digesting()
    for event in events: digesting.add(event)     # of pages, of a stream, of push, of an export: in any order
    comparison = digesting.compare(client.digests(contract))

The gateway seals a digest of each hour in its log, a sandbox of each minute. `digests` checks that the
log holds it, before it gives it out.
What a digest covers is the same for readers with masks (`security.transparency.event_leaves`): which events there are,
from whom, of which operation, and when. The data of an event are covered by the signature of the answer they came in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from contracts.base.integers import whole_number
from gateway.client.answers import Answer, hashes_of, read_json
from gateway.client.feeds import digests_query
from security.transparency.checkpoint import NoteError, NoteKey, verify
from security.transparency.event_leaves import leaf_of
from security.transparency.merkle import HASH, ProofError, leaf_hash, root_of, verify_inclusion
from security.transparency.periods import STATED, one_period

_FACTS: Final = ("since", "until", "after", "from", "to", "events", "root")


class SealedDigest(NamedTuple):
    """A digest of one period. `proved`: the log holds it; False only of a log that ended."""

    since: str
    until: str
    after: int
    first: int
    last: int
    events: int
    root: bytes
    proved: bool


class Digests(NamedTuple):
    """`sealed`: until when the periods are sealed. `next`: `since` of the next answer. `note`: the checkpoint."""

    digests: tuple[SealedDigest, ...]
    sealed: str | None
    next: str | None
    more: bool
    note: str | None

    @classmethod
    def read(cls, answer: Answer, contract: str, key: NoteKey) -> Digests:
        """Raises ValueError for an answer whose digests are not those of its entries, or not in the log."""
        content = answer.json()
        try:
            note = content["checkpoint"]
            point = verify(note, key, origin=key.name) if note is not None else None
            digests = []
            for item in content["digests"]:
                entry = item["entry"]
                facts = read_json(entry["text"].encode())["facts"]
                if (
                    facts["contract"] != contract
                    or any(facts[name] != item[name] for name in _FACTS)
                    or facts.get(STATED) != item.get(STATED)
                ):
                    raise ValueError("a digest is not that of its entry")
                one_period(facts)
                proved = "origin" not in entry
                if proved:
                    if point is None:
                        raise ValueError("a digest without a checkpoint")
                    leaf, hashes = leaf_hash(entry["text"].encode()), hashes_of(entry["proof"], "proof")
                    verify_inclusion(leaf, int(entry["index"]), point.size, hashes, point.root)
                numbers = {name: int(item[name]) for name in ("after", "from", "to", "events")}
                digests.append(
                    SealedDigest(
                        since=str(item["since"]),
                        until=str(item["until"]),
                        after=numbers["after"],
                        first=numbers["from"],
                        last=numbers["to"],
                        events=numbers["events"],
                        root=bytes.fromhex(item["root"]),
                        proved=proved,
                    )
                )
            return cls(tuple(digests), content["sealed"], content["next"], content["more"] is True, note)
        except (KeyError, TypeError, AttributeError, NoteError, ProofError) as wrong:
            raise ValueError(f"{type(wrong).__name__}: {wrong}") from None


async def pages(
    read: Callable[[str, str, Callable[[Answer], Digests]], Awaitable[Digests]],
    key: NoteKey,
    contract: str,
    since: datetime | str | None,
    until: datetime | str | None,
) -> AsyncIterator[Digests]:
    """All answers. `read` sends a request, and proves its answer."""
    more = True
    while more:
        query = digests_query(since, until)
        page = await read(
            "GET", f"/feeds/{contract}/digests?{query}", lambda answer: Digests.read(answer, contract, key)
        )
        yield page
        more, since = page.more and page.next != since, page.next


@dataclass(frozen=True, slots=True)
class Comparison:
    """`whole`: periods held exactly as sealed. `wrong`: what differs, a text each. `unsealed`: events held that come
    after the last of these digests.
    """

    whole: int
    events: int
    wrong: tuple[str, ...]
    unsealed: int

    @property
    def ok(self) -> bool:
        return not self.wrong


@dataclass(slots=True)
class _Run:
    """Leaves of events with contiguous offsets, from `first`."""

    first: int
    leaves: bytearray

    @property
    def end(self) -> int:
        return self.first + len(self.leaves) // HASH

    def at(self, offset: int) -> bytes:
        start = (offset - self.first) * HASH
        return bytes(self.leaves[start : start + HASH])


@dataclass(slots=True)
class Digesting:
    """The events of one feed that a reader holds: 32 bytes each. The same event may be added again."""

    again: int = 0  # events that were added before
    _runs: list[_Run] = field(default_factory=list)
    _wrong: list[str] = field(default_factory=list)

    def add(self, event: Mapping[str, Any]) -> None:
        """ValueError for an event without its place in the feed."""
        offset = whole_number(str(event.get("sequence", "")).lstrip("0"))
        if offset is None:
            raise ValueError("an event without `sequence`")
        self._put(offset, leaf_of(event))

    def compare(self, digests: Iterable[SealedDigest]) -> Comparison:
        """The digests follow one another, oldest first, from the period in which the reader began."""
        wrong, hours, events, before = list(self._wrong), 0, 0, None
        for digest in digests:
            name = f"{digest.since} – {digest.until}"
            if before is not None and digest.after != before:
                wrong.append(f"{name}: the digest before it is missing")
            low = digest.after if before is None else before
            held = list(self._between(low + 1, digest.last))
            count = sum(stop - start for _, start, stop in held)
            if count != digest.events or held and held[0][1] != digest.first:
                kind = "missing" if count < digest.events else "too many"
                wrong.append(f"{name}: {digest.events} events were sealed, {count} are held ({kind})")
            elif root_of([run.at(offset) for run, start, stop in held for offset in range(start, stop)]) != digest.root:
                wrong.append(f"{name}: the events held are not those that were sealed")
            else:
                hours, events = hours + 1, events + count
            before = digest.last
        last = -1 if before is None else before
        return Comparison(hours, events, tuple(wrong), sum(stop - start for _, start, stop in self._between(last + 1)))

    def forget(self, upto: int) -> None:
        """Forgets the events up to an offset, once they were compared."""
        kept = []
        for run in self._runs:
            if run.end - 1 > upto:
                start = max(run.first, upto + 1)
                del run.leaves[: (start - run.first) * HASH]
                run.first = start
                kept.append(run)
        self._runs = kept

    def _between(self, first: int, last: int | None = None) -> Iterable[tuple[_Run, int, int]]:
        """The runs that hold offsets from `first` to `last`: (run, first, after the last)."""
        for run in self._runs:
            start, stop = max(run.first, first), run.end if last is None else min(run.end, last + 1)
            if start < stop:
                yield run, start, stop

    def _put(self, offset: int, leaf: bytes) -> None:
        runs = self._runs
        at = bisect_right(runs, offset, key=lambda run: run.first) - 1
        run = runs[at] if at >= 0 else None
        if run is not None and offset < run.end:
            self.again += 1
            if run.at(offset) != leaf:
                self._wrong.append(f"the event {offset} came twice, and not as the same")
            return
        if run is not None and offset == run.end:
            run.leaves += leaf
        else:
            run = _Run(offset, bytearray(leaf))
            at += 1
            runs.insert(at, run)
        if at + 1 < len(runs) and runs[at + 1].first == run.end:
            run.leaves += runs.pop(at + 1).leaves
