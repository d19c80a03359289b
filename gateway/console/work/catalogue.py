"""The data catalogue of the instance (article 14.1): every contract in force with what the registry and log know of it.

A data set has its contract's facts, its owner, the systems that it comes from, the grants by which it may be had, the
period of its feed, and what the log counts of its messages.
Invariant: each contract in force is one data set. Who sees the catalogue sees every data set.
Invariant: grants are told to those alone who may see them; of the others only their number is told.
Invariant: a figure comes from the index of the log, and says which entries it counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from contracts.base.words import Words, WordsFile
from contracts.compiled.contract import CompiledContract
from contracts.faces import dcat, rdf
from contracts.faces.dqv import METRICS, Measured, computation, metric
from contracts.faces.rdf import Node
from gateway.audit.search.fields import OUTCOMES, word
from gateway.audit.search.index import watermark
from gateway.audit.search.search import first_at
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.site.operation import both
from gateway.console.work.access import Standing, holds, standing
from gateway.console.work.tally import BLOCK, BLOCKS, ends_of
from gateway.journal.schema import tables
from gateway.registry import owners
from gateway.registry.snapshot import Snapshot, all_grants
from gateway.registry.sources import ANY, HANDS_IN, scope
from security.grants.grants import Reason
from security.grants.windows import civil

DAYS: Final = 30
_DAY: Final = 86_400.0
_OUTCOME: Final[Mapping[str, str]] = {
    "accepted": "ok",
    "refused": "refused",
    "failed": "failed",
    "repeated": "repeated",
}
_event: Final = tables.feed_event.c
_words = WordsFile(__file__)


class Sees(NamedTuple):
    """What somebody sees of grants: those that concern one agency, all if it is None; none without `access`."""

    agency: str | None = None
    access: bool = True

    @classmethod
    def of(cls, viewer: Viewer) -> Sees:
        return cls(viewer.account.scope, May.ACCESS in viewer.account.may)


class DataSet(NamedTuple):
    """A data set. `grants` are those that are seen, `others` is the number of the rest.

    `undeclared`: the operations that hand data in and have no declared source.
    """

    entry: dcat.Entry
    grants: tuple[Standing, ...]
    others: int
    undeclared: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.entry.compiled.contract.name


class Catalogue(NamedTuple):
    """`publisher` is the centre; `base` the address of the exchange listener."""

    sets: tuple[DataSet, ...]
    publisher: dcat.Publisher
    base: str

    def one(self, name: str) -> DataSet:
        """Raises `console.no-page`."""
        found = next((each for each in self.sets if each.name == name), None)
        if found is None:
            raise CONSOLE_NO_PAGE(path=name[:60])
        return found

    def nodes(self) -> Node:
        return dcat.catalogue([each.entry for each in self.sets], self.publisher, self.base)

    def written(self, form: rdf.Form, name: str | None = None) -> bytes:
        """The whole, or one data set. Raises `console.no-page`."""
        return rdf.written(self.nodes() if name is None else dcat.alone(self.one(name).entry, self.base), form)


def of(desk: Desk, viewer: Viewer) -> Catalogue:
    """The catalogue as somebody at the desk sees it."""
    services = desk.services
    with desk.reading() as connection:
        return catalogue(connection, services.registry.snapshot, services.settings.base, Sees.of(viewer), desk.now())


def catalogue(connection: Connection, snapshot: Snapshot, base: str, sees: Sees, now: float) -> Catalogue:
    """The catalogue of this moment."""
    look = _Look(connection, snapshot, sees, now)
    sets = tuple(look.data_set(name, compiled) for name, compiled in sorted(snapshot.contracts.items()))
    return Catalogue(sets, owners.centre(snapshot), base)


class _Look:
    def __init__(self, connection: Connection, snapshot: Snapshot, sees: Sees, now: float) -> None:
        self._connection, self._snapshot, self._sees = connection, snapshot, sees
        self._measured = _measured(connection, snapshot, now)
        self._grants: dict[str, list[Standing]] = {}
        for each in all_grants(connection):
            self._grants.setdefault(each.contract, []).append(Standing(each, standing(each, now)))

    def data_set(self, name: str, compiled: CompiledContract) -> DataSet:
        grants = self._grants.get(name, [])
        seen = tuple(each for each in grants if self._seen(each))
        origins = tuple(self._origins(name, compiled))
        begins, ends = self._period(name) if compiled.contract.fed else ("", "")
        facts = dcat.Facts(
            origins=origins,
            conditions=tuple(_conditions(seen, len(grants) - len(seen))),
            begins=begins,
            ends=ends,
            measured=self._measured[name],
        )
        declared = {each.operation for each in origins}
        undeclared = (
            each.name
            for each in compiled.contract.operations.values()
            if each.pattern in HANDS_IN and each.name not in declared
        )
        entry = dcat.Entry(compiled, owners.publisher(self._snapshot, compiled), facts)
        return DataSet(entry, seen, len(grants) - len(seen), tuple(undeclared))

    def _seen(self, each: Standing) -> bool:
        return self._sees.access and holds(self._snapshot, each.grant, self._sees.agency)

    def _origins(self, name: str, compiled: CompiledContract) -> Iterator[dcat.Origin]:
        """The declared sources, and the systems that answer questions."""
        for _, system in sorted(self._snapshot.systems.items()):
            agency = owners.as_publisher(self._snapshot.agencies[system.agency])
            for source in system.sources:
                if source.contract == name:
                    yield dcat.Origin(system.id, system.title, agency, source.operation, scope(source) or ANY, True)
            for operation in compiled.contract.operations.values():
                if operation.pattern not in HANDS_IN and system in self._snapshot.routed(name, operation.name):
                    yield dcat.Origin(system.id, system.title, agency, operation.name, "", False)

    def _period(self, name: str) -> tuple[str, str]:
        """When the oldest and the newest event of the feed were taken up; empty if it has none."""
        query = select(_event.sequenced).where(_event.contract == name).limit(1)
        oldest = self._connection.scalar(query.order_by(_event.offset))
        newest = self._connection.scalar(query.order_by(_event.offset.desc()))
        return ("", "") if oldest is None or newest is None else (rfc3339(oldest), rfc3339(newest))


def _conditions(seen: tuple[Standing, ...], others: int) -> Iterator[Words]:
    """Each grant in force that is seen, and how many more there are."""
    for grant, stands in seen:
        if stands != Reason.GRANTED or grant.denies:
            continue
        yield _words(
            "catalogue.grant",
            grant=grant.id,
            holder=grant.agency or f"@{grant.role}",
            operations=", ".join(grant.operations),
            purpose=grant.purpose,
            basis=grant.legal_basis,
            until=civil(grant.valid_until),
            hours=f"; {grant.hours}" if grant.hours is not None else "",
            quota=f"; {grant.quota}" if grant.quota is not None else "",
        )
    if others:
        yield _words("catalogue.others", count=others)


def _measured(connection: Connection, snapshot: Snapshot, now: float) -> dict[str, Measured | None]:
    """The figures of each contract over the last `DAYS` days, as far as the log is indexed; None without entries."""
    entry, upto = tables.log_entry.c, watermark(connection).upto
    first = max(first_at(connection, now - DAYS * _DAY, 0, upto), (upto // BLOCK - BLOCKS) * BLOCK)
    if first >= upto:
        return dict.fromkeys(snapshot.contracts)
    at = dict(
        connection.execute(select(entry.idx, entry.sequenced).where(entry.idx.in_((first, upto - 1)))).tuples().all()
    )
    pairs = ends_of(connection.engine).counted(connection, first, upto).pairs
    return {
        name: Measured(
            {each: pairs[(word(name), OUTCOMES[outcome])] for each, outcome in _OUTCOME.items()},
            first,
            upto - 1,
            rfc3339(at[first]),
            rfc3339(at[upto - 1]),
        )
        for name in snapshot.contracts
    }


# --- for programs -----------------------------------------------------------------------------------------------------
def stated(known: Catalogue) -> dict[str, Any]:
    """The catalogue as plain JSON."""
    return {"publisher": _party(known.publisher), "datasets": [stated_set(each, known.base) for each in known.sets]}


def stated_set(each: DataSet, base: str) -> dict[str, Any]:
    """One data set as plain JSON."""
    contract, facts, root = each.entry.compiled.contract, each.entry.facts, base.rstrip("/")
    known = contract.catalogue
    feed = {"feed": f"{root}/feeds/{contract.name}"} if contract.fed else {}
    return {
        "id": contract.name,
        "version": contract.version,
        "title": both(contract.title),
        "description": both(contract.description),
        "owner": _party(each.entry.owner),
        "frequency": known.frequency or None,
        "themes": list(known.themes),
        "spatial": None if known.spatial is None else both(known.spatial),
        "temporal": {"begins": facts.begins, "ends": facts.ends} if facts.begins else None,
        "modified": known.modified or None,
        "legal_basis": list(contract.legal_basis),
        "licence": None if known.licence is None else both(known.licence),
        "doors": {"rest": f"{root}/{contract.name}", "soap": f"{root}/soap/{contract.name}", **feed},
        "formats": sorted(each.entry.compiled.formats),
        "sources": [
            {
                "system": origin.system,
                "agency": origin.agency.code,
                "operation": origin.operation,
                "scope": origin.scope or None,
                "declared": origin.declared,
            }
            for origin in facts.origins
        ],
        "undeclared": list(each.undeclared),
        "access": {
            "rights": "RESTRICTED",
            "grants": [
                {
                    "id": grant.id,
                    "agency": grant.agency,
                    "role": grant.role,
                    "operations": list(grant.operations),
                    "purpose": grant.purpose,
                    "legal_basis": grant.legal_basis,
                    "valid_until": rfc3339(grant.valid_until),
                    "standing": stands,
                }
                for grant, stands in each.grants
            ],
            "others": each.others,
        },
        "quality": _quality(facts.measured),
    }


def _quality(measured: Measured | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {
        "entries": {"first": measured.first, "last": measured.last},
        "begins": measured.begins,
        "ends": measured.ends,
        "figures": [
            {
                "metric": name,
                "value": measured.values[name],
                "title": both(metric(name)),
                "how": both(computation(name)),
            }
            for name in METRICS
        ],
    }


def _party(publisher: dcat.Publisher) -> dict[str, Any]:
    contact = {"office": publisher.office, "phone": publisher.phone, "email": publisher.email}
    return {"code": publisher.code, "name": both(publisher.name), "contact": contact}
