"""Contracts: versions, fields, mapping tables, differences, and one message tried."""

from __future__ import annotations

from contracts.wire.jsontext import pretty
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import contracts

_MOST_SHOWN = 20_000  # characters of a sample


def overview(ask: Ask) -> Shown:
    return Shown("contracts.html", {"contracts": contracts.listed(ask.desk)})


def one(ask: Ask) -> Shown:
    name = _name(ask)
    contract = contracts.in_force(ask.desk, name)
    versions, pinned = contracts.stored(ask.desk, name)
    values = {
        "contract": contract.contract,
        "compiled": contract,
        "operations": contracts.receivers(ask.desk, contract),
        "messages": {each: contracts.fields(contract.messages[each]) for each in contract.exchanged},
        "versions": versions,
        "pinned": pinned,
        "mapped": [each for each in contract.formats if each != "canonical"],
        "samples": [(each, each.raw[:_MOST_SHOWN].decode("utf-8", "replace")) for each in contract.samples],
    }
    return Shown("contract.html", values)


def mapping(ask: Ask) -> Shown:
    name = _name(ask)
    tables = contracts.mapping(ask.desk, name, ask.path["format"])
    contract = contracts.in_force(ask.desk, name)
    return Shown("mapping.html", {"contract": contract.contract, "format": ask.path["format"], "tables": tables})


def compared(ask: Ask) -> Shown:
    name = _name(ask)
    contract = contracts.in_force(ask.desk, name).contract
    versions, _ = contracts.stored(ask.desk, name)
    old, new = ask.query.get("old", ""), ask.query.get("new", "")
    result = contracts.compare(ask.desk, name, old, new) if old and new else None
    return Shown(
        "compared.html", {"contract": contract, "versions": versions, "result": result, "old": old, "new": new}
    )


def trying(ask: Ask) -> Shown:
    """The form, and with a message each stage of it."""
    name = _name(ask)
    contract = contracts.in_force(ask.desk, name)
    given = {each: ask.form.get(each, ask.query.get(each, "")) for each in ("format", "message", "text")}
    result = None
    if ask.form:
        result = contracts.tried(ask.desk, name, given["format"], given["message"], given["text"])
    values = {
        "contract": contract.contract,
        "formats": [each for each, codec in contract.formats.items() if codec.media != "xlsx"],
        "messages": contract.exchanged,
        "given": given,
        "result": result,
        "canonical": pretty(result.canonical) if result is not None and result.canonical is not None else "",
    }
    return Shown("trying.html", values)


def _name(ask: Ask) -> str:
    return f"{ask.path['id']}/v{ask.path['major']}"


_ONE = "/contracts/{id}/v{major}"
PAGES = (
    Page("/contracts", overview, May.CONTRACTS, N_("Contracts in force"), Menu.CONTRACTS),
    Page(_ONE, one, May.CONTRACTS, N_("Contract")),
    Page(f"{_ONE}/formats/{{format}}", mapping, May.CONTRACTS, N_("Mapping table")),
    Page(f"{_ONE}/versions", compared, May.CONTRACTS, N_("Differences")),
    Page(f"{_ONE}/try", trying, May.CONTRACTS, N_("Try a message")),
    Page(f"{_ONE}/try", trying, May.CONTRACTS, N_("Try a message"), method="POST", operation="tryMessage"),
)
