"""Chooses the server behind an address with several hosts, and refuses one whose history is over.

Theory of operation:
1. libpq stops at the first host that takes writes. An old primary that comes back as it was takes writes too.
   So the hosts are tried here, one by one, beginning with the one that was good last.
2. Each connection learns the server's timeline, which a promotion raises, and the identifier of its cluster. The newest
   timeline is kept in memory, and in the data folder of this machine. A server with a lower one is left.
3. The first connection of a process looks at all hosts: this machine may not have seen the promotion.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from gateway.journal.errors import JOURNAL_OLD_PRIMARY
from gateway.journal.limits import Presence, Server
from gateway.settings import SEEN

_LISTS: Final = ("host", "hostaddr", "port")
# A name of a segment of the log begins with the timeline. A standby has none of its own.
_TIMELINE: Final = (
    "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
)
_BEGAN: Final = "SELECT extract(epoch FROM pg_postmaster_start_time())"
_SYSTEM: Final = "SELECT system_identifier::text FROM pg_control_system()"

Place = dict[str, Any]


class OldPrimary(psycopg.OperationalError):
    """A server with a lower timeline than was seen, or of another cluster."""

    failure: Final = JOURNAL_OLD_PRIMARY

    @property
    def plain(self) -> str:
        """Without the addresses of servers, since callers read it."""
        return str(self.__cause__ if isinstance(self.__cause__, OldPrimary) else self)


class Learned(Protocol):
    """A connection that knows its server; None: a standby."""

    server: Server | None

    def execute(self, query: Any, /) -> Any: ...
    def close(self) -> None: ...


C = TypeVar("C", bound=Learned)


def connected(make: Callable[[Place], C], place: Place, presence: Presence, folder: Path | None) -> C:
    """A connection to the newest primary.

    Raises `OldPrimary` if only older ones answer, else what the last host failed with. It names each host with its own
    failure.
    """
    hosts = sorted(_hosts(place), key=lambda one: _name(one) != presence.host)
    first, seen = presence.server is None, _newest(presence.server, _read(folder))
    best: C | None = None
    failures: list[tuple[str, psycopg.Error]] = []
    for one in hosts:
        try:
            made = make(one)
            try:
                made.server = _learn(made)
                _check(made.server, seen)
            except BaseException:
                made.close()
                raise
        except psycopg.Error as error:
            failures.append((_shown(one), error))
            continue
        if best is not None and _timeline(made) <= _timeline(best):
            made.close()
            continue
        if best is not None:
            best.close()
        best, presence.host = made, _name(one)
        if made.server is not None and not first:
            break
    if best is None:
        failure = _together(failures)
        presence.refused = failure.plain if isinstance(failure, OldPrimary) else None
        raise failure
    presence.refused = None
    if best.server is not None and best.server != presence.server:
        presence.server = best.server
        if best.server != seen:
            _write(folder, best.server)
    return best


def others(make: Callable[[Place], C], place: Place, leads: Learned) -> list[str]:
    """The hosts with a server that takes writes and is not the one that leads, each with its timeline. One that does
    not answer is passed over. A copy may have the same timeline, so servers are told apart by when they began.
    """
    told, began = [], leads.execute(_BEGAN).fetchone()
    for one in _hosts(place):
        with suppress(psycopg.Error), closing(make(one)) as made:
            found = _learn(made)
            if found is not None and made.execute(_BEGAN).fetchone() != began:
                timeline = "?" if leads.server is None else leads.server.timeline
                told.append(f"{_shown(one)} (timeline {found.timeline}, primary {timeline})")
    return told


def _together(failures: list[tuple[str, psycopg.Error]]) -> psycopg.Error:
    """Of several hosts: a failure of the kind that decides, with the words of all."""
    old = next((error for _, error in failures if isinstance(error, OldPrimary)), None)
    decides = old or failures[-1][1]
    if len(failures) == 1:
        return decides
    told = type(decides)("; ".join(f"{host}: {' '.join(str(error).split())}" for host, error in failures))
    told.__cause__ = decides
    return told


def _shown(place: Place) -> str:
    return f"{place.get('host') or place.get('hostaddr') or 'localhost'}:{place.get('port') or 5432}"


def _timeline(made: Learned) -> int:
    return 0 if made.server is None else made.server.timeline


def _check(found: Server | None, seen: Server | None) -> None:
    if found is None or seen is None:
        return
    if found.system and seen.system and found.system != seen.system:
        raise OldPrimary(f"cluster {found.system}, known: {seen.system}")
    if found.timeline < seen.timeline:
        raise OldPrimary(f"timeline {found.timeline}, newest: {seen.timeline}")


def _learn(made: Learned) -> Server | None:
    row = made.execute(_TIMELINE).fetchone()
    if row[0] is None:
        return None
    try:
        system = str(made.execute(_SYSTEM).fetchone()[0])
    except psycopg.errors.InsufficientPrivilege:
        system = ""
    return Server(system, int(row[0], 16))


def _hosts(place: Place) -> Iterator[Place]:
    """One address a host, as libpq pairs hosts and ports."""
    whole = {name: value for name, value in conninfo_to_dict(**place).items() if value is not None}
    lists = {name: str(whole[name]).split(",") for name in _LISTS if name in whole}
    count = max((len(each) for each in lists.values()), default=1)
    for number in range(count):
        yield whole | {name: each[number] if len(each) > 1 else each[0] for name, each in lists.items()}


def _name(place: Place) -> str:
    return " ".join(str(place.get(name, "")) for name in _LISTS)


def _newest(one: Server | None, other: Server | None) -> Server | None:
    return max((each for each in (one, other) if each is not None), key=lambda each: each.timeline, default=None)


def _read(folder: Path | None) -> Server | None:
    """What this machine saw last; None without a file. One that cannot be read raises, as it protects."""
    if folder is None:
        return None
    try:
        kept = json.loads((folder / SEEN).read_bytes())
    except (FileNotFoundError, PermissionError):  # an auditor's copy
        return None
    except ValueError:
        raise OldPrimary(f"{folder / SEEN} is damaged") from None
    return Server(str(kept["system"]), int(kept["timeline"]))


def _write(folder: Path | None, server: Server) -> None:
    if folder is None or not folder.is_dir():
        return
    new = folder / f"{SEEN}.{os.getpid()}.{threading.get_ident()}"
    with suppress(OSError):  # whoever may only read keeps nothing
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            json.dump(server._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, folder / SEEN)
