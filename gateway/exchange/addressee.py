"""Finds who gets a message: a system, the feed, or an agency that has no system and handles it on its page.

Invariant: a message that is kept for an agency stands in the feed that handlings are opened from, so none is lost.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from contracts.base.randomness import random_bytes
from gateway.exchange.errors import ROUTE_NONE, ROUTE_SUSPENDED
from gateway.exchange.quotas import NO_LIMITS, VendorLimits, uses_of
from gateway.journal.write import Write
from gateway.registry.records import System
from gateway.transfer import entries, outcome
from gateway.transfer.entries import HashId
from gateway.transfer.evidence_parts import parts_of
from gateway.transfer.stages import Decoded, Ending, OpenTransfer, Receipt, Requested
from gateway.transfer.states import Event
from gateway.transfer.transfer_records import facts_of, fed, row_of
from gateway.vault import attachments, binding
from gateway.vault.classes import Keeping
from gateway.vault.vault import Vault
from security.transparency.entry import SALT

NO_SYSTEM: Final = ""  # in place of a system: the agencies of the route handle the message
TAKEN_IN: Final = 202  # the HTTP status of such a message: no system answers it


class Here(NamedTuple):
    """Who writes, and when."""

    vault: Vault
    process: str
    keep: Keeping
    hash_id: HashId
    now: float
    vendors: VendorLimits = NO_LIMITS


def route_of(decoded: Decoded) -> str:
    """The system that the routes name for this message, FEED or NO_SYSTEM. A tenant of a sandbox has its own provider
    first. Raises `route.none`, also if nobody would handle a message without a system.
    """
    requested = decoded.requested
    snapshot, contract, operation = requested.snapshot, requested.contract.contract.name, requested.operation
    own = snapshot.own_provider(requested.caller.agency, contract)
    name = own or snapshot.route(contract, operation.name, decoded.message)
    if name is None or name == NO_SYSTEM and not _is_handled(requested):
        raise ROUTE_NONE(contract=contract, operation=operation.name)
    return name


def _is_handled(requested: Requested) -> bool:
    """Whether a handling follows from the message: by the live workflow, or by a first one that officers sign later."""
    operation, flow = requested.operation, requested.contract.workflow
    live = requested.snapshot.competence(requested.contract.contract.name, operation.name)
    return operation.in_feed and (live is not None or flow is not None and flow.operation == operation.name)


def provider_of(decoded: Decoded, name: str) -> System:
    """The system of a route. Raises `route.suspended`."""
    provider = decoded.requested.snapshot.systems[name]
    if not provider.active:
        raise ROUTE_SUSPENDED(system=provider.id)
    return provider


def kept(decoded: Decoded, here: Here) -> tuple[Write, Receipt]:
    """The unit of a message that no system gets: intent, event of the feed and outcome."""
    requested, now = decoded.requested, here.now
    salt = random_bytes(SALT)
    intent = entries.intent(decoded, None, salt, now, here.hash_id)
    how = Ending(Event.HANDED_IN, now, TAKEN_IN)
    row = row_of(decoded, None, now, here.process, how.event)
    told = fed(requested.operation, row)
    assert told is not None  # `route_of` asks for it
    told = told._replace(facts=facts_of(requested.contract, requested.operation, decoded.message, now))
    new = OpenTransfer(row.id, here.process, None, keep=here.keep, salt=salt, intent=intent.leaf, fed=told)
    row, ended, receipt = outcome.end_new(row, new, how)
    event = outcome.event_of(new, row.state, how)
    bound = dict.fromkeys(("request", "canonical", attachments.PART), binding.of_transfer(intent.leaf, row))
    bound[binding.EVENT_PART] = binding.of_event(event.contract, event.event)
    parts = [*parts_of(decoded, salt, True), (binding.EVENT_PART, event.event.encode())]
    write = Write(
        replay=requested.authenticated.replay,
        transfer=row,
        log=(intent, ended),
        vault=here.vault.seal_kept(here.keep, row.id, parts, now, bound),
        feed=(event,),
        quota=uses_of(decoded.authorised.decision, requested.caller.agency, now, here.vendors),
        uses=decoded.uses,
    )
    return write, receipt
