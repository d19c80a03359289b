"""Checks the content of log entries, beside their place in the tree.

Each check sees every entry once, in order; `CHECKS` lists them. The form of an entry is that of
`security.transparency.entry`.

Invariant: the content is read from the logged bytes; columns beside them are only compared.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final

from contracts.base import jcs
from contracts.base.times import moment
from gateway.audit.log.origins import NEW_LOG
from gateway.audit.log.sequencer import KEEP_SECONDS
from gateway.audit.verify.sources import Record
from gateway.registry.tenant_clock import MOST
from gateway.registry.tenants import is_tenant

KINDS: Final = frozenset({"intent", "outcome", "refusal", "repeat", "in-doubt", "note"})
_ONCE: Final = frozenset({"intent", "outcome", "refusal", "repeat"})  # others of one transfer may occur again
# The second number: by earlier releases a second entry of `try-failed#4` was logged as `try-failed#4#2`.
_SUFFIX: Final = re.compile(r"[0-9a-z-]{1,40}(?:#[0-9]{1,9})?")
_AT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def _no_number(text: str) -> Any:
    raise ValueError(f"{text[:20]} has no place in an entry")


def _whole(text: str) -> int:
    if len(text) > 15 and abs(int(text)) >= 1 << 53:  # RFC 8785 has no exact form for it
        _no_number(text)
    return int(text)


# Created once: a decoder costs as much as decoding an entry.
_decode: Final = json.JSONDecoder(parse_int=_whole, parse_float=_no_number, parse_constant=_no_number).decode
_BUCKETS: Final = 64
_SPOOL: Final = 1 << 18
Value = dict[str, Any]


class Check(ABC):
    """A check of all entries."""

    @abstractmethod
    def entry(self, record: Record, value: Value) -> str | None:
        """What is wrong with this entry."""

    def end(self) -> Iterator[tuple[int, str]]:
        """Findings that need all entries: index and text."""
        yield from ()

    def notes(self) -> Iterator[str]:
        """Texts that are no findings. Called once, after `end`."""
        yield from ()


def read_entry(raw: bytes) -> tuple[Value, str | None]:
    """The parsed entry, and what is wrong with its form."""
    try:
        value = _decode(raw.decode())
        if not isinstance(value, dict):
            return {}, "is no JSON object"
        # The C encoder gives RFC 8785's bytes for nearly all entries; else the RFC's encoder decides.
        if _encode(value).encode() != raw and jcs.encode(value) != raw:
            return value, "is not canonical JSON (RFC 8785)"
    except (ValueError, TypeError, RecursionError):
        return {}, "is not canonical JSON (RFC 8785)"
    version, kind, at = value.get("v"), value.get("kind"), value.get("at")
    if version != 1 or version is True:
        return value, f"is of version {version!r}; known here is 1"
    if kind not in KINDS or kind == "note" and not isinstance(value.get("what"), str):
        return value, f"is of no known kind: {kind!r}"[:80]
    if not isinstance(value.get("transfer"), str) or not isinstance(at, str) or _AT.fullmatch(at) is None:
        return value, "lacks its transfer, or its time as RFC 3339 writes it"
    return value, None


def phase_of(value: Value) -> str:
    kind = value.get("kind")
    return str(value.get("what") if kind == "note" else kind)


class Columns(Check):
    """Transfer and phase beside an entry are those in it. A suffix `#…` of the phase marks one of several."""

    def entry(self, record: Record, value: Value) -> str | None:
        if record.transfer is None or record.phase is None:
            return None
        logged, phase, suffix = phase_of(value), *record.phase.partition("#")[::2]
        if record.transfer != value["transfer"]:
            return "stands under another transfer than it names"
        if record.phase != logged and (phase != logged or _SUFFIX.fullmatch(suffix) is None):
            return f"stands under the phase {record.phase}, and is {logged}"
        return None


class Times(Check):
    """Times of sequencing never go back."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def entry(self, record: Record, value: Value) -> str | None:
        at = record.sequenced
        if at is None:
            return None
        if at < self._last:
            return f"was sequenced {self._last - at:.3f} s before the entry ahead of it"
        self._last = at
        return None


class Unique(Check):
    """(transfer, phase) is unique. In a database a second one is an inserted row, and wrong.

    In entries without columns a second one is a note: it was acknowledged, so the sequencer logged it apart (`#2`).
    Digests go to buckets that spill to disk, so that a log of any length fits.
    """

    def __init__(self) -> None:
        self._buckets: Final[list[bytearray]] = [bytearray() for _ in range(_BUCKETS)]
        self._files: Final[list[IO[bytes] | None]] = [None] * _BUCKETS
        self._second: list[str] = []
        self._stored = True

    def entry(self, record: Record, value: Value) -> str | None:
        phase = record.phase
        self._stored = phase is not None
        if phase is None:
            if value["kind"] not in _ONCE:
                return None
            phase = phase_of(value)
        elif "#" in phase and value["kind"] in _ONCE:
            self._second.append(f"entry {record.idx} is a second {phase_of(value)}")
        self.add(value["transfer"], phase, record.idx)
        return None

    def add(self, transfer: str, phase: str, idx: int) -> None:
        mark = digest(transfer, phase)
        number = mark[0] % _BUCKETS
        bucket = self._buckets[number]
        bucket += mark + idx.to_bytes(8, "big", signed=True)
        if len(bucket) >= _SPOOL:
            file = self._files[number]
            if file is None:
                file = self._files[number] = tempfile.TemporaryFile(prefix="lgsp-verify-")
            file.write(bucket)
            bucket.clear()

    def read(self, number: int) -> bytes:
        """All of one bucket: records of 16 bytes digest and 8 bytes index."""
        file = self._files[number]
        if file is None:
            return bytes(self._buckets[number])
        file.seek(0)
        return file.read() + self._buckets[number]

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """(index, index of the first) of every repeated (transfer, phase)."""
        for number in range(_BUCKETS):
            raw = self.read(number)
            if len({raw[at : at + 16] for at in range(0, len(raw), 24)}) * 24 == len(raw):
                continue
            seen: dict[bytes, int] = {}
            for at in range(0, len(raw), 24):
                idx = int.from_bytes(raw[at + 16 : at + 24], "big", signed=True)
                first = seen.setdefault(raw[at : at + 16], idx)
                if first != idx:
                    yield idx, first

    def end(self) -> Iterator[tuple[int, str]]:
        for idx, first in self.duplicates():
            if self._stored:
                yield idx, f"is of the same transfer and phase as entry {first}"
            else:
                self._second.append(f"entry {idx} is of the same transfer and phase as entry {first}")

    def notes(self) -> Iterator[str]:
        if self._second:
            yield (
                f"{len(self._second)} came a second time, which is a fault of the gateway's and was logged apart:"
                f" {some(self._second)}"
            )
        for file in self._files:
            if file is not None:
                file.close()


class Lives(Unique):
    """Also: an outcome has an intent before it. An intent without an outcome is a note, as it may be under way.

    Entry 0 of a log that continues another one is that log's last checkpoint: then the intent may be in that log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[str, int] = {}
        self._ends: list[tuple[int, str]] = []  # outcomes without an open intent
        self._continues = False

    def entry(self, record: Record, value: Value) -> str | None:
        kind, transfer = value["kind"], value["transfer"]
        if kind == "intent":
            self._open[transfer] = record.idx
        elif kind == "outcome" and self._open.pop(transfer, None) is None:
            self._ends.append((record.idx, transfer))
        elif record.idx == 0 and kind == "note" and value["what"] == NEW_LOG:
            self._continues = True
        return super().entry(record, value)

    def end(self) -> Iterator[tuple[int, str]]:
        yield from super().end()
        if self._continues:
            return
        for idx, transfer in self._ends:
            mark = digest(transfer, "intent")
            raw = self.read(mark[0] % _BUCKETS)
            intents = [
                int.from_bytes(raw[at + 16 : at + 24], "big")
                for at in range(0, len(raw), 24)
                if raw[at : at + 16] == mark
            ]
            if not intents or min(intents) > idx:
                yield idx, "is an outcome without an intent before it"

    def notes(self) -> Iterator[str]:
        yield from super().notes()
        if self._open:
            listed = [f"{transfer} (entry {idx})" for transfer, idx in list(self._open.items())[:6]]
            yield (
                f"{len(self._open)} open, an intent without an outcome so far / còn mở, chưa có kết quả: {some(listed)}"
            )
        if self._continues and self._ends:
            yield f"{len(self._ends)} outcomes of intents in the log that this one goes on from"


class Clocks(Check):
    """A second time in an entry is that of a tenant's clock: as far ahead as an entry says that it was moved."""

    def __init__(self) -> None:
        self._moved: set[tuple[str, int]] = set()
        self._borne: dict[tuple[str, int], int] = {}  # (tenant, or empty; seconds ahead) -> the first entry
        self._continues = False

    def entry(self, record: Record, value: Value) -> str | None:
        what = value.get("what")
        if what == "tenant-clock":
            facts = value.get("facts", {})
            self._moved |= {(each, facts.get("ahead")) for each in (facts.get("tenant"), "")}
        elif record.idx == 0 and what == NEW_LOG:
            self._continues = True
        if "clock" not in value:
            return None
        clock, at = moment(value["clock"]), moment(value["at"])
        if clock is None or at is None or not 0 < round(clock - at) <= MOST:
            return "bears a second time that no clock of a tenant can show"
        tenant = str(value.get("caller", {}).get("agency", ""))
        if tenant and not is_tenant(tenant):
            return f"bears the time of a tenant's clock, and its caller is {tenant}"
        self._borne.setdefault((tenant, round(clock - at)), record.idx)
        return None

    def end(self) -> Iterator[tuple[int, str]]:
        for (tenant, ahead), idx in self._borne.items():
            if not self._continues and (tenant, ahead) not in self._moved:
                yield idx, f"bears a time {ahead} s ahead, to which no entry moved the clock of {tenant or 'a tenant'}"


class Minutes:
    """Finds deleted checkpoints: the database keeps the last one of each minute (`gateway.audit.log.sequencer`).

    So the last entry sequenced in a minute has a checkpoint. An export has no times, and is not checked.
    """

    def __init__(self, sizes: set[int]) -> None:
        self._sizes: Final = sizes
        self._last: float | None = None
        self.missing: list[str] = []

    def entry(self, record: Record) -> None:
        at, last = record.sequenced, self._last
        self._last = at
        if at is None or last is None or at // KEEP_SECONDS == last // KEEP_SECONDS or record.idx in self._sizes:
            return
        self.missing.append(
            f"checkpoint {record.idx} of the database: missing; entry {record.idx - 1} was the last one of its minute"
        )


def digest(transfer: str, phase: str) -> bytes:
    return hashlib.blake2b(f"{transfer}\n{phase}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def some(listed: Sequence[str]) -> str:
    return ", ".join(listed[:5]) + (", …" if len(listed) > 5 else "")


CHECKS: Final[Sequence[Callable[[], Check]]] = (Columns, Times, Lives, Clocks)
OF_A_RANGE: Final[Sequence[Callable[[], Check]]] = (Columns, Times, Unique)  # earlier entries are not known
