"""The registry as one frozen value, indexed for the look-ups of a request.

Compiled contracts and parsed public keys are reused from the previous snapshot, by digest and thumbprint.
Invariant: a snapshot never changes; a new revision is a new snapshot, replaced between two calls.
Invariant: look-ups that permit something omit what is suspended or revoked; `system` finds it, so refusals can say why.
Invariant: the cost of a look-up does not grow with the number of agencies, contracts or routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlalchemy import Connection, select

from contracts.base.errors import Policy
from contracts.base.words import Words
from contracts.canonical.model import Contract, Operation
from contracts.compiled.contract import Codec, CompiledContract, alive, compile_bundle
from contracts.compiled.pinned import PinnedCodec, pinned
from gateway.journal.schema import tables
from gateway.registry import sources, tenants, workflows
from gateway.registry.changes.granting import grants
from gateway.registry.changes.keys import outside
from gateway.registry.changes.notices import Notice, no_notice, notices
from gateway.registry.changes.officers import officers
from gateway.registry.competence import CompetenceTable, competences
from gateway.registry.errors import CHANNEL_SUSPENDED, words
from gateway.registry.own_feed import CENTRE as CENTRE
from gateway.registry.own_feed import is_closed
from gateway.registry.owning import owner_among
from gateway.registry.parts.grants import judged
from gateway.registry.records import ACTIVE, SUSPENDED, Agency, Change, Key, OutsideAuthority, Route, Source, System
from gateway.registry.restore_lock import held_until
from gateway.registry.routing import FEED, RouteTable, tables_of
from gateway.registry.rows import agency_of, system_of
from gateway.registry.seals.revisions import revision
from gateway.registry.sources import SourceTable
from gateway.registry.standing import Readiness, key_of, readiness, standing, standings
from gateway.registry.tenants import is_tenant
from gateway.registry.versions import by_minor, load, minor_of, stored
from security.encryption_keys import EncryptKey
from security.errors import SIGNATURE_KEY_REVOKED
from security.grants.approvals import Officer
from security.grants.grants import Decision, Grant, Reason, Request
from security.grants.held import AgencyGrants
from security.grants.refusals import refusal
from security.keys import VerifyKey

__all__ = ["Agency", "Change", "Key", "Route", "Snapshot", "System", "load_snapshot"]

Mask = Callable[[dict[str, Any]], dict[str, Any]]
Views = tuple[tuple[str, ...], ...]
_NOTHING: Final = AgencyGrants.of(())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one revision."""

    revision: int
    agencies: Mapping[str, Agency]
    systems: Mapping[str, System]
    keys: Mapping[str, Key]
    contracts: Mapping[str, CompiledContract]  # "<id>/v<major>" -> the one in force
    handled: Mapping[str, CompiledContract]  # contract -> the one whose workflow is live, perhaps an older version
    compiled: Mapping[str, CompiledContract]  # by digest: those in force or handled, or that a system is pinned to
    _keys_by_thumbprint: Mapping[str, Key]
    _encrypt_keys: Mapping[str, tuple[EncryptKey, ...]]  # by system
    officers: Mapping[str, Officer]
    notices: Mapping[tuple[str, str], Notice]  # of suspended objects, by kind and id
    _grants: Mapping[str, AgencyGrants]  # by agency, with those of its roles
    _routes: Mapping[tuple[str, str], RouteTable]
    _competence: Mapping[tuple[str, str], CompetenceTable]
    _sources: Mapping[tuple[str, str], SourceTable]
    _tenants: Mapping[tuple[str, str], str]  # (tenant, contract) -> its own provider
    _rest: Mapping[tuple[str, str], tuple[CompiledContract, Operation]]
    _methods: Mapping[str, frozenset[str]]
    _ids: frozenset[str]
    authorities: Mapping[str, OutsideAuthority]
    _pinned: Mapping[tuple[str, str], PinnedCodec]  # (system, contract), pinned to an older minor version
    held_until: float = 0.0  # of a restored instance: nothing is accepted or sent before
    _masks: dict[tuple[str, str, Views], Mask | None] = field(default_factory=dict, compare=False, repr=False)
    # What a system may receive, with the decision: of `gateway.registry.receiving`.
    received: dict[tuple[str, str, str], tuple[Decision, Any]] = field(default_factory=dict, compare=False, repr=False)

    def system(self, name: str) -> System | None:
        return self.systems.get(name)

    def agency(self, code: str) -> Agency | None:
        return self.agencies.get(code)

    def key(self, key_id: str) -> VerifyKey | None:
        """A signing key. Raises Policy for a revoked one. The verifier checks its validity in time."""
        return _signing(self.keys.get(key_id))

    def key_by_thumbprint(self, thumbprint: str) -> VerifyKey | None:
        """A signing key by the thumbprint of its certificate."""
        return _signing(self._keys_by_thumbprint.get(thumbprint))

    def tls_key(self, thumbprint: str) -> Key | None:
        """The registration of a client certificate in any state: check `Key.in_force`."""
        key = self._keys_by_thumbprint.get(thumbprint)
        return key if key is not None and key.use == "tls" else None

    def readiness(self, now: float) -> dict[str, Readiness]:
        """System -> whether it can call, or why not."""
        return readiness(self.systems.values(), self.keys.values(), now)

    def encrypt_keys(self, system: str) -> tuple[EncryptKey, ...]:
        """The encryption keys of a system that are not revoked, newest first.

        `security.encryption_keys.newest` checks their validity in time.
        """
        return self._encrypt_keys.get(system, ())

    def codec(self, system: System, contract: CompiledContract) -> Codec:
        """The codec of a system for a contract: its format at its minor version.

        Raises `LookupError` if the contract, perhaps an older one of a queued message, lacks the format.
        """
        name = contract.contract.name
        return self._pinned.get((system.id, name)) or contract.codec(system.format(name))

    def ahead(self, agency: str) -> int:
        """Seconds by which the agency's clock is ahead of real time: of a tenant of a sandbox that moved it."""
        known = self.agencies.get(agency)
        return 0 if known is None else known.clock.ahead

    def grants(self, agency: str) -> tuple[Grant, ...]:
        """All grants of an agency and of its roles."""
        return self._grants.get(agency, _NOTHING).grants

    def mask(self, contract: CompiledContract, message: str, views: Views) -> Mask | None:
        """The compiled mask of what these lists of fields show together, cached; None if everything is visible."""
        key = (contract.digest, message, views)
        if key not in self._masks:
            self._masks[key] = contract.mask(message, *views)
        return self._masks[key]

    def decide(self, agency: str, contract: str, operation: str, now: float) -> Decision:
        """Whether the agency may call the operation, and which fields of the answer it sees."""
        known = self.agencies.get(agency)
        if is_closed(contract, operation, known.roles if known is not None else ()):
            return Decision(False, Reason.NO_GRANT)
        return self._grants.get(agency, _NOTHING).decide(contract, operation, now)

    def decide_receiving(self, agency: str, contract: str, operation: str, now: float) -> Decision:
        """Whether the agency's systems may be called for the operation, and which fields of the request they see."""
        return self._grants.get(agency, _NOTHING).decide_receiving(contract, operation, now)

    def refusal(self, decision: Decision, agency: str, contract: Contract, operation: str, now: float) -> Policy:
        """The failure for a refusing decision."""
        suspended = decision.nearest if decision.reason is Reason.SUSPENDED else None
        notice = self._notice("grant", suspended.id) if suspended is not None else None
        at = self._grants.get(agency, _NOTHING).refused_at(decision, now)
        request = self.request(agency, contract, operation)
        failure = refusal(decision, request, self.owner_of(contract, agency), at, notice)
        if decision.reason is Reason.NO_CONTRACT and is_tenant(agency) and operation in contract.operations:
            failure.advice = words("tenant-contract", contract=contract.name)  # she needs no officer
        return failure

    def suspension(self, system: System) -> Policy:
        """The failure for a suspended system or agency: reason, since when, whom to ask."""
        agency, centre = self.agencies[system.agency], self.centre()
        what, name = ("agency", agency.code) if agency.state == SUSPENDED else ("system", system.id)
        party = agency.name if what == "agency" else Words(system.name, system.name)
        ask = centre.reached if centre is not None else words("operator")
        return CHANNEL_SUSPENDED(who=party, ask=ask, **self._notice(what, name))

    def _notice(self, what: str, name: str) -> Mapping[str, Any]:
        notice = self.notices.get((what, name))
        return notice.facts() if notice is not None else no_notice()

    def request(self, agency: str, contract: Contract, operation: str) -> Request:
        known = self.agencies.get(agency)
        return Request(agency, frozenset(known.roles if known is not None else ()), contract.name, operation)

    def owner_of(self, contract: Contract, asking: str | None = None) -> Words:
        """The agency to ask for a grant, with its contact; the centre for an agency that would ask itself."""
        owner = self.owner(contract)
        if owner is not None and owner.code == asking:
            owner = self.centre() or owner
        return owner.reached if owner is not None else Words(contract.owner_role, contract.owner_role)

    def owner(self, contract: Contract) -> Agency | None:
        """The agency that owns it (`gateway.registry.owning`)."""

        def provided() -> set[str]:
            tables = (table for (name, _), table in self._routes.items() if name == contract.name)
            return {self.systems[each].agency for table in tables for each in table.systems if each not in ("", FEED)}

        code = owner_among({code: each.roles for code, each in self.agencies.items()}, contract, provided)
        return None if code is None else self.agencies[code]

    def centre(self) -> Agency | None:
        return next((agency for agency in self.agencies.values() if CENTRE in agency.roles), None)

    def contract(self, name: str) -> CompiledContract | None:
        return self.contracts.get(name)

    def rest_operation(self, method: str, path: str) -> tuple[CompiledContract, Operation] | None:
        """The operation of a REST address, `/<contract>/v<major>/…`."""
        return self._rest.get((method, path))

    def names_contract(self, path: str) -> bool:
        """Whether the first segment of a path is the id of a contract."""
        return path.split("/", 2)[1] in self._ids if path.startswith("/") else False

    def rest_methods(self, path: str) -> frozenset[str]:
        """The methods of an address; empty for an unknown address."""
        return self._methods.get(path, frozenset())

    def own_provider(self, agency: str, contract: str) -> str | None:
        """The system of a sandbox's tenant that provides the contract to this tenant alone."""
        return tenants.own_provider(self._tenants, agency, contract)

    def route(self, contract: str, operation: str, message: Mapping[str, Any]) -> str | None:
        """The id of the system that gets this message; empty if its route names agencies alone, None without one."""
        table = self._routes.get((contract, operation))
        return None if table is None else table.find(message)

    def competence(self, contract: str, operation: str) -> CompetenceTable | None:
        """Who handles the messages of an operation; None if its contract has no workflow for it."""
        return self._competence.get((contract, operation))

    def routed(self, contract: str, operation: str) -> list[System]:
        """The systems that a route of the operation leads to, by their ids."""
        table = self._routes.get((contract, operation))
        return [] if table is None else [self.systems[each] for each in sorted({*table.systems} & self.systems.keys())]

    def answers_from_feed(self, contract: str, operation: str) -> bool:
        """Whether a route of the operation leads to the contract's feed instead of a system."""
        table = self._routes.get((contract, operation))
        return table is not None and FEED in table.systems

    def other_source(
        self, contract: str, operation: str, system: System, message: Mapping[str, Any]
    ) -> tuple[System, Source] | None:
        """The system that is declared the source of the message, or of a part of it, and is not this one."""
        table = self._sources.get((contract, operation))
        found = None if table is None else table.others(system.id, message)
        return None if found is None else (self.systems[found[0]], found[1])

    def has_sources(self, contract: str, operation: str) -> bool:
        """Whether a system is declared the source of some messages of the operation."""
        return (contract, operation) in self._sources

    def provider(self, contract: str, operation: str, message: Mapping[str, Any]) -> System | None:
        name = self.route(contract, operation, message)
        return None if name is None else self.systems.get(name)


def _signing(key: Key | None) -> VerifyKey | None:
    if key is None or key.verify is None:
        return None
    if key.state != ACTIVE:
        raise SIGNATURE_KEY_REVOKED(key=key.key_id, since=key.since, reason=key.reason)
    return key.verify


def load_snapshot(connection: Connection, before: Snapshot | None = None) -> Snapshot:
    """Read the registry within this transaction."""
    number = revision(connection)
    agencies = {row["code"]: agency_of(row) for row in _rows(connection, tables.agency)}
    known_keys = before.keys if before else {}
    authorities, statuses = outside(connection), standings(connection)
    keys = {
        row["key_id"]: key_of(row, known_keys.get(row["key_id"]), standing(row, authorities, statuses, number))
        for row in _rows(connection, tables.system_key)
    }
    own: dict[str, list[VerifyKey]] = {}
    encrypt: dict[str, tuple[EncryptKey, ...]] = {}
    for key in sorted(keys.values(), key=lambda each: each.valid_from, reverse=True):
        if key.verify is not None and key.state == ACTIVE:
            own.setdefault(key.system, []).append(key.verify)
        if key.encrypt is not None and key.state == ACTIVE:
            encrypt[key.system] = (*encrypt.get(key.system, ()), key.encrypt)
    systems = {
        row["id"]: system_of(row, agencies, own.get(row["id"], []), encrypt.get(row["id"], ()))
        for row in _rows(connection, tables.system)
    }
    known_officers = officers(connection)
    compiled: dict[str, CompiledContract] = {}

    def contract_of(digest: str) -> CompiledContract:
        if digest not in compiled:
            compiled[digest] = alive(digest) or compile_bundle(load(connection, digest))
        return compiled[digest]

    in_force, handled = workflows.in_force(connection, contract_of)
    behind = _pinned(connection, systems.values(), in_force, contract_of)
    rest: dict[tuple[str, str], tuple[CompiledContract, Operation]] = {
        (operation.method, f"/{name}{operation.path}"): (contract, operation)
        for name, contract in in_force.items()
        for operation in contract.contract.operations.values()
    }
    methods: dict[str, frozenset[str]] = {}
    for method, path in rest:
        methods[path] = methods.get(path, frozenset()) | {method}
    routes = tables_of(connection)
    same = before is not None and set(before.compiled) == set(compiled)
    return Snapshot(
        revision=number,
        agencies=agencies,
        systems=systems,
        keys=keys,
        contracts=in_force,
        handled=handled,
        compiled=compiled,
        _keys_by_thumbprint={key.thumbprint: key for key in keys.values()},
        _encrypt_keys=encrypt,
        officers=known_officers,
        notices=notices(connection),
        _grants=_grants(connection, agencies, known_officers, in_force),
        _routes=routes,
        _competence=competences(routes, handled, agencies, systems),
        _sources=sources.tables_of(systems.values()),
        _tenants=tenants.providers(systems.values()),
        _rest=rest,
        _methods=methods,
        _ids=frozenset(contract.contract.id for contract in in_force.values()),
        authorities=authorities,
        _pinned=behind,
        held_until=held_until(connection),
        _masks=before._masks if before is not None and same else {},
    )


def _pinned(
    connection: Connection,
    systems: Iterable[System],
    in_force: Mapping[str, CompiledContract],
    contract_of: Callable[[str], CompiledContract],
) -> dict[tuple[str, str], PinnedCodec]:
    """The codecs of pinned systems. Systems with the same version and format share one."""
    shared: dict[tuple[str, str], PinnedCodec] = {}
    codecs: dict[tuple[str, str], PinnedCodec] = {}
    bundles = by_minor(stored(connection))
    for system in systems:
        for name, newest in in_force.items():
            pin = system.pin(name)
            if pin is None or pin == minor_of(newest.contract.version):
                continue
            digest, speaks = bundles[(name, pin)].digest, system.format(name)
            if (digest, speaks) not in shared:
                shared[(digest, speaks)] = pinned(contract_of(digest), speaks)
            codecs[(system.id, name)] = shared[(digest, speaks)]
    return codecs


def _rows(connection: Connection, table: Any) -> list[Mapping[str, Any]]:
    return [cast(Mapping[str, Any], row) for row in connection.execute(select(table)).mappings()]


def _grants(
    connection: Connection,
    agencies: Mapping[str, Agency],
    known: Mapping[str, Officer],
    in_force: Mapping[str, CompiledContract],
) -> dict[str, AgencyGrants]:
    by_agency: dict[str, list[Grant]] = {}
    by_role: dict[str, list[Grant]] = {}
    for grant in grants(connection, known):
        grant = judged(grant, in_force)
        if grant.agency is not None:
            by_agency.setdefault(grant.agency, []).append(grant)
        elif grant.role is not None:
            by_role.setdefault(grant.role, []).append(grant)
    return {
        code: AgencyGrants.of(
            [*by_agency.get(code, []), *(grant for role in agency.roles for grant in by_role.get(role, []))],
            agency.clock.ahead,
        )
        for code, agency in agencies.items()
    }


def all_grants(connection: Connection) -> list[Grant]:
    """All grants that are not revoked, as the doors judge them. Compiles contracts only if an adopted one waits."""
    every = grants(connection, officers(connection))
    if not any(grant.adopted and not grant.confirmed for grant in every):
        return every
    contracts = load_snapshot(connection).contracts
    return [judged(grant, contracts) for grant in every]
