"""What a vendor asks for when she enrols, checked before anything is written.

Invariant: a name is text of one line in letters that people see (`contracts.base.naming`), and cannot be taken for that
  of an agency, a system or an officer of the province.
Invariant: an address leads to a host that the instance may call: a public one, or within `push_networks`.
Invariant: an address is not the gateway's, and not that of another agency's system.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from contracts.base import naming
from contracts.canonical.model import Pattern
from contracts.compiled.contract import CompiledContract
from gateway.push.addresses import Networks
from gateway.registry.own_feed import OWN
from gateway.registry.places import Places
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import is_tenant
from gateway.sandbox.vendors.errors import SANDBOX_FORM

SYSTEM_FIELDS: Final = frozenset({"contracts", "role", "protocol", "address"})
FIELDS: Final = SYSTEM_FIELDS | {"name", "contact", "code"}
ROLES: Final = ("caller", "provider", "both")
PROTOCOLS: Final = ("rest", "soap")
MOST_NAME: Final = 100
MOST_CONTACT: Final = 200
MOST_ADDRESS: Final = 300
MOST_CONTRACTS: Final = 20
CALLED: Final = (Pattern.QUERY, Pattern.DISPATCH)  # operations by which a provider is called
_CONTACT: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,130}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one system of a vendor does. `address` is empty if it provides nothing."""

    contracts: tuple[str, ...]
    role: str
    protocol: Literal["rest", "soap"]
    address: str

    @property
    def calls(self) -> bool:
        return self.role != "provider"

    @property
    def provides(self) -> bool:
        return self.role != "caller"


@dataclass(frozen=True, slots=True)
class Application:
    """A vendor, and her first system."""

    name: str
    contact: str
    wanted: Wanted
    code: str


@dataclass(frozen=True, slots=True)
class Reach:
    """Where systems of a vendor may be called. `places` are taken by others."""

    networks: Networks
    places: Places


def read(given: Mapping[str, Any], snapshot: Snapshot, reach: Reach) -> Application:
    """From a form or a JSON object; `contracts` are a list, or names with blanks between. Raises `sandbox.form`."""
    name = _line(given, "name", MOST_NAME)
    if sum(each.isalnum() for each in name) < 2:
        raise SANDBOX_FORM(field="name", why="2 letters or digits at least")
    if naming.skeleton(name) in _taken(snapshot):
        raise SANDBOX_FORM(field="name", why="it looks like the name of an agency, a system or an officer")
    contact = _line(given, "contact", MOST_CONTACT)
    if _CONTACT.fullmatch(contact) is None:
        raise SANDBOX_FORM(field="contact", why="an e-mail address")
    code = given.get("code") or ""
    if not isinstance(code, str):
        raise SANDBOX_FORM(field="code", why="a text")
    return Application(name, contact, wanted(given, snapshot, reach), code[:200])


def wanted(given: Mapping[str, Any], snapshot: Snapshot, reach: Reach) -> Wanted:
    """What a system is to do. Raises `sandbox.form`."""
    role = _chosen(given, "role", ROLES)
    protocol = _chosen(given, "protocol", PROTOCOLS)
    contracts = _contracts(given.get("contracts"), snapshot)
    provided = any(called(snapshot.contracts[each]) for each in contracts)
    address = given.get("address") or ""
    if not isinstance(address, str) or len(address) > MOST_ADDRESS:
        raise SANDBOX_FORM(field="address", why=f"a text of at most {MOST_ADDRESS} characters")
    address = address.strip().rstrip("/")
    if role == "caller" and address:
        raise SANDBOX_FORM(field="address", why="a caller has none")
    if role != "caller":
        if not provided:
            raise SANDBOX_FORM(field="contracts", why="no provider is called by these contracts")
        _check_address(address, reach)
    return Wanted(contracts, role, "soap" if protocol == "soap" else "rest", address)


def called(contract: CompiledContract) -> tuple[str, ...]:
    """The operations of a contract by which a provider is called."""
    return tuple(each.name for each in contract.contract.operations.values() if each.pattern in CALLED)


def _contracts(given: Any, snapshot: Snapshot) -> tuple[str, ...]:
    names = given.split() if isinstance(given, str) else given
    if not isinstance(names, list) or not 0 < len(names) <= MOST_CONTRACTS:
        raise SANDBOX_FORM(field="contracts", why=f"1 to {MOST_CONTRACTS} names of contracts")
    for each in names:
        if not isinstance(each, str) or each in OWN or each not in snapshot.contracts:
            known = ", ".join(sorted(set(snapshot.contracts) - OWN))
            raise SANDBOX_FORM(field="contracts", why=f"each is one of {known}")
    return tuple(dict.fromkeys(names))


def _chosen(given: Mapping[str, Any], field: str, choices: tuple[str, ...]) -> str:
    value = given.get(field) or choices[0]
    if value not in choices:
        raise SANDBOX_FORM(field=field, why=" | ".join(choices))
    return str(value)


def _line(given: Mapping[str, Any], field: str, most: int) -> str:
    value = given.get(field)
    if not isinstance(value, str) or len(value) > 4 * most:
        raise SANDBOX_FORM(field=field, why=f"a text of 1 to {most} characters")
    text = unicodedata.normalize("NFC", value).strip()
    if not 0 < len(text) <= most or not text.isprintable():
        raise SANDBOX_FORM(field=field, why=f"a text of 1 to {most} visible characters in one line")
    if (odd := naming.objection(text)) is not None:
        raise SANDBOX_FORM(field=field, why=f"Latin letters with the marks of Vietnamese, digits and signs; not {odd}")
    return text


def _taken(snapshot: Snapshot) -> frozenset[str]:
    """The skeletons of the province's names."""
    names = [each.name for each in snapshot.agencies.values() if not is_tenant(each.code)]
    names += [each.title for each in snapshot.systems.values() if not is_tenant(each.agency)]
    names += [each.name for each in snapshot.officers.values()]
    return frozenset(naming.skeleton(text) for each in names for text in (each.vi, each.en))


def _check_address(address: str, reach: Reach) -> None:
    networks = reach.networks
    parts = urlsplit(address) if networks.objection(address) is None else None
    if parts is None or parts.scheme != "https" or parts.query:
        why = networks.objection(address) or "https, without a query"
        raise SANDBOX_FORM(field="address", why=why)
    if (holder := reach.places.holder(address)) is not None:
        raise SANDBOX_FORM(field="address", why=f"its host and port are those of {holder}")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SANDBOX_FORM(field="address", why="its name is not known") from None
    if not all(networks.allow(str(each[4][0])) for each in found):
        raise SANDBOX_FORM(field="address", why="its name leads to an address neither public nor in `push_networks`")
