"""The registry document: agencies, systems, routes and grants of an instance, as YAML that officers can read and review.

It follows articles 12.3 (a contact an agency) and 12.2 (routing) of the regulation. Invariant: a document is taken whole or not at all,
and everything wrong with it is reported at once, each with its path; nothing here touches a database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import yaml

import gateway.registry.failures  # noqa: F401  (registers the codes)
from adapters.model import DropFolder, DropRule, Endpoint
from contracts.base.errors import Finding, Theirs
from contracts.compiled import CompiledContract
from contracts.model import Pattern
from gateway.registry.records import ACTIVE, NEWEST, SUSPENDED, Agency, Route, System
from gateway.registry.values import Values, kind
from gateway.registry.versions import minor_of
from security.grants import ALL, Grant

_AGENCY: Final = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)*")
_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_GRANT_ID: Final = re.compile(r"[A-Za-z0-9]+([-.][A-Za-z0-9]+)*")
_MINOR: Final = re.compile(r"[1-9][0-9]*\.[0-9]+")
_PLACEHOLDER: Final = re.compile(r"\{([a-z0-9-]+)\}")
_GRANT_NAMES: Final = {*Grant.__slots__} - {"state"}
Minor = Callable[[str, str], CompiledContract | None]  # a contract's name and a minor version -> what was published under it
FEED: Final = "feed"  # the operation that a grant names to let its holder read a contract's feed


@dataclass(frozen=True, slots=True)
class Document:
    """A checked document. `stated` holds the ids of agencies and systems whose state it gives; the others keep theirs."""

    agencies: tuple[Agency, ...] = ()
    systems: tuple[System, ...] = ()
    routes: tuple[Route, ...] = ()
    grants: tuple[Grant, ...] = ()
    stated: frozenset[str] = field(default_factory=frozenset)


def parse(
    text: str | bytes, contracts: Mapping[str, CompiledContract], fill: Mapping[str, str] | None = None, minor: Minor | None = None
) -> Document:
    """Read and check a document. `fill` gives the addresses for `{name}` placeholders, `minor` the older versions that a system may be pinned to;
    `Theirs("registry.invalid")` lists all mistakes."""

    def only_newest(name: str, wanted: str) -> CompiledContract | None:
        found = contracts.get(name)
        return found if found is not None and minor_of(found.contract.version) == wanted else None

    reader = _Reader(contracts, fill or {}, minor or only_newest)
    try:
        raw = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as trouble:
        mark = getattr(trouble, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "document"
        problem = getattr(trouble, "problem", None) or "not YAML"
        raise Theirs("registry.invalid", count=1, findings=[Finding(where, "", str(problem), "syntax", "YAML")]) from None
    document = reader.document(raw)
    if reader.findings:
        raise Theirs("registry.invalid", count=len(reader.findings), findings=reader.findings)
    return document


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Reader(Values):
    """Walks the raw document and gathers findings instead of stopping at the first."""

    def __init__(self, contracts: Mapping[str, CompiledContract], fill: Mapping[str, str], minor: Minor) -> None:
        super().__init__()
        self._contracts = contracts
        self._fill = fill
        self._minor = minor
        self._agencies: dict[str, Agency] = {}
        self._systems: dict[str, System] = {}
        self._grants: set[str] = set()
        self._stated: set[str] = set()
        self._folders: set[str] = set()

    # --- the parts ----------------------------------------------------------------------------------------------------

    def document(self, raw: Any) -> Document:
        top = self._mapping("", raw, {"agencies", "systems", "routes", "grants"})
        for path, item in self._list("agencies", top.get("agencies", [])):
            self._agency(path, item)
        for path, item in self._list("systems", top.get("systems", [])):
            self._system(path, item)
        routes = [self._route(path, item) for path, item in self._list("routes", top.get("routes", []))]
        self._fallbacks([route for route in routes if route])
        grants = [self._grant(path, item) for path, item in self._list("grants", top.get("grants", []))]
        return Document(
            tuple(self._agencies.values()),
            tuple(self._systems.values()),
            tuple(route for route in routes if route),
            tuple(grant for grant in grants if grant),
            frozenset(self._stated),
        )

    def _agency(self, path: str, raw: Any) -> None:
        item = self._mapping(path, raw, {"code", "name", "level", "roles", "contact", "state"})
        code = self._text(f"{path}.code", item.get("code"), _AGENCY, limit=35)
        contact = self._mapping(f"{path}.contact", item.get("contact"), {"office", "phone", "email", "address"})
        texts = {name: self._text(f"{path}.contact.{name}", value) for name, value in contact.items()}
        for name in ("office", "phone", "email"):
            if name not in texts:
                self._wrong(f"{path}.contact.{name}", "required", "how the agency's contact is reached (article 12.3)", "nothing")
        agency = Agency(
            code,
            self._words(f"{path}.name", item.get("name")),
            self._text(f"{path}.level", item.get("level"), choice=("province", "department", "commune", "outside")),
            tuple(self._text(at, role, _ID) for at, role in self._list(f"{path}.roles", item.get("roles", []))),
            texts,
            self._state(path, item, f"agency {code}"),
        )
        if code in self._agencies:
            self._wrong(f"{path}.code", "unique", "a code of its own", f"{code}, used before")
        self._agencies[code] = agency

    def _system(self, path: str, raw: Any) -> None:
        item = self._mapping(path, raw, {"id", "agency", "title", "formats", "endpoint", "state"})
        name = self._text(f"{path}.id", item.get("id"), _ID, limit=64)
        agency = self._text(f"{path}.agency", item.get("agency"))
        if agency and agency not in self._agencies:
            self._wrong(f"{path}.agency", "reference", "the code of an agency of this document", agency)
        formats: dict[str, str] = {}
        versions: dict[str, str] = {}
        for contract, value in self._mapping(f"{path}.formats", item.get("formats", {})).items():
            self._format(f"{path}.formats.{contract}", contract, value, formats, versions)
        endpoint, drop = None, None
        if isinstance(item.get("endpoint"), dict) and item["endpoint"].get("kind") == "files":
            drop = self._drop(f"{path}.endpoint", item["endpoint"])
        elif item.get("endpoint") is not None:
            endpoint = self._endpoint(f"{path}.endpoint", name, item["endpoint"])
        if name in self._systems:
            self._wrong(f"{path}.id", "unique", "an id of its own", f"{name}, used before")
        title = self._words(f"{path}.title", item.get("title"))
        state = self._state(path, item, f"system {name}")
        self._systems[name] = System(name, agency, title, formats, endpoint, state, drop=drop, versions=versions)

    def _format(self, path: str, contract: str, value: Any, formats: dict[str, str], versions: dict[str, str]) -> None:
        """A format's name, or `{format, version}` where the minor version is said that the system understands."""
        compiled = self._contract(path, contract)
        if isinstance(value, dict):
            item = self._mapping(path, value, {"format", "version"})
            value = item.get("format", "canonical")
            version = item.get("version")
            if isinstance(version, (int, float)):
                version = str(version)  # without quotes: told below what is meant
                self._wrong(f"{path}.version", "type", f'"{version}" in quotes: 1.10 is not 1.1', "a number")
                return
            version = self._text(f"{path}.version", version)
            if version and version != NEWEST and not _MINOR.fullmatch(version):
                self._wrong(f"{path}.version", "pattern", 'a minor version in quotes, as "1.1", or newest', version)
            elif version and compiled:
                versions[contract] = version
                compiled = compiled if version == NEWEST else self._published(f"{path}.version", compiled, version)
        formats[contract] = self._text(path, value)
        if compiled and formats[contract] not in compiled.formats:
            self._wrong(path, "reference", f"one of the formats {', '.join(sorted(compiled.formats))}", formats[contract])

    def _published(self, path: str, newest: CompiledContract, version: str) -> CompiledContract | None:
        force = newest.contract.version
        numbers = [tuple(map(int, each.split("."))) for each in (version, minor_of(force))]
        found = self._minor(newest.contract.name, version) if numbers[0] <= numbers[1] else None
        if found is None:
            self._wrong(path, "reference", f"a minor version that was published, up to {minor_of(force)}, which is in force", version)
        return found

    def _drop(self, path: str, raw: dict[str, Any]) -> DropFolder:
        """A folder, and what the files in it are. Only messages that are handed in or dispatched can be dropped: nobody waits for an answer."""
        item = self._mapping(path, raw, {"kind", "folder", "rules"})
        folder = self._text(f"{path}.folder", item.get("folder"), _ID, limit=64)
        if folder in self._folders:
            self._wrong(f"{path}.folder", "unique", "a folder of its own", f"{folder}, used before")
        self._folders.add(folder)
        rules = []
        for at, each in self._list(f"{path}.rules", item.get("rules")):
            rule = self._mapping(at, each, {"match", "contract", "operation", "format"})
            match, contract, operation, name = (
                self._text(f"{at}.{word}", rule.get(word)) for word in ("match", "contract", "operation", "format")
            )
            compiled = self._contract(f"{at}.contract", contract)
            if compiled is not None:
                known = compiled.contract.operations
                if operation not in known or known[operation].pattern is Pattern.QUERY:
                    handed = [each.name for each in known.values() if each.pattern is not Pattern.QUERY]
                    self._wrong(f"{at}.operation", "reference", f"one of {', '.join(handed) or 'none'}", operation)
                else:
                    request = known[operation].request
                    fits = [codec.name for codec in compiled.formats.values() if codec.media in ("csv", "xlsx") and request in codec.mapped]
                    if name not in fits:
                        self._wrong(f"{at}.format", "reference", f"a table of {request}: {', '.join(fits) or 'none'}", name)
            rules.append(DropRule(match, contract, operation, name))
        if not rules:
            self._wrong(f"{path}.rules", "required", "at least one rule: match, contract, operation, format", "none")
        return DropFolder(folder, tuple(rules))

    def _endpoint(self, path: str, system: str, raw: Any) -> Endpoint:
        item = self._mapping(path, raw, {"kind", "url"})
        kind = self._text(f"{path}.kind", item.get("kind"), choice=("rest", "soap"))
        url = self._text(f"{path}.url", item.get("url"))

        def filled(match: re.Match[str]) -> str:
            if match[1] not in self._fill:
                self._wrong(f"{path}.url", "placeholder", "a placeholder whose address is given", match[0])
            return self._fill.get(match[1], match[0])

        before = len(self.findings)
        url = _PLACEHOLDER.sub(filled, url)
        parts = urlsplit(url)
        if len(self.findings) == before and url and (parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment):
            self._wrong(f"{path}.url", "format", "an https address without query", url)
        return Endpoint(system, cast(Literal["rest", "soap"], kind), url)

    def _route(self, path: str, raw: Any) -> Route | None:
        item = self._mapping(path, raw, {"contract", "operation", "when", "system"})
        contract = self._text(f"{path}.contract", item.get("contract"))
        operation = self._text(f"{path}.operation", item.get("operation"))
        system = self._text(f"{path}.system", item.get("system"))
        compiled = self._contract(f"{path}.contract", contract)
        when: dict[str, tuple[str, ...]] = {}
        for key, values in self._mapping(f"{path}.when", item.get("when", {})).items():
            at = f"{path}.when.{key}"
            when[key] = tuple(self._text(place, value) for place, value in self._list(at, values))
            if not when[key]:
                self._wrong(at, "required", "at least one value", "none")
        if compiled and operation not in compiled.contract.operations:
            self._wrong(f"{path}.operation", "reference", f"one of {', '.join(compiled.contract.operations)}", operation)
            compiled = None
        if compiled and when:
            message = compiled.contract.operations[operation].request
            for problem in compiled.check_fields(message, ["*", *when]):  # everything is seen; only the paths are asked about
                self._wrong(f"{path}.when", "reference", f"paths of {message}", problem)
        if system and system not in self._systems:
            self._wrong(f"{path}.system", "reference", "the id of a system of this document", system)
        elif system and self._systems[system].endpoint is None:
            self._wrong(f"{path}.system", "reference", "a system that has an endpoint", system)
        return Route(contract, operation, when, system)

    def _fallbacks(self, routes: list[Route]) -> None:
        """Article 12.2: what no route names goes to a fallback, never lost. More than one would make the second dead."""
        count: dict[tuple[str, str], int] = {}
        for route in routes:
            key = (route.contract, route.operation)
            count[key] = count.get(key, 0) + (not route.when)
        for (contract, operation), fallbacks in count.items():
            if fallbacks != 1:
                self._wrong("routes", "fallback", f"one route without `when` for {contract} {operation}", f"{fallbacks} of them")

    def _grant(self, path: str, raw: Any) -> Grant | None:
        item = self._mapping(path, raw, _GRANT_NAMES)
        before = len(self.findings)
        agency, role = item.get("agency"), item.get("role")
        if (agency is None) == (role is None):
            self._wrong(path, "choice", "either an agency or a role", "both" if agency else "neither")
        if agency is not None and agency not in self._agencies:
            self._wrong(f"{path}.agency", "reference", "the code of an agency of this document", str(agency))
        if role is not None and role not in {each for known in self._agencies.values() for each in known.roles}:
            self._wrong(f"{path}.role", "reference", "a role of some agency of this document", str(role))
        contract = self._text(f"{path}.contract", item.get("contract"))
        compiled = self._contract(f"{path}.contract", contract)
        operations = [self._text(at, value) for at, value in self._list(f"{path}.operations", item.get("operations"))]
        fields = [self._text(at, value) for at, value in self._list(f"{path}.fields", item.get("fields", ["*"]))]
        if not operations:
            self._wrong(f"{path}.operations", "required", "at least one operation", "none")
        if compiled:
            self._granted(path, compiled, operations, fields)
        denies = item.get("denies", False)
        if not isinstance(denies, bool):
            self._wrong(f"{path}.denies", "type", "true or false", kind(denies))
        officers = [self._text(at, value) for at, value in self._list(f"{path}.approved_by", item.get("approved_by"))]
        if len(set(officers)) < 2 and not denies:
            self._wrong(f"{path}.approved_by", "officers", "two different officers", f"{len(set(officers))}")
        start = self._day(f"{path}.valid_from", item.get("valid_from"))
        end = self._day(f"{path}.valid_until", item.get("valid_until")) + 86400  # the last day counts
        if start and end > 86400 and end <= start:
            self._wrong(f"{path}.valid_until", "range", "a day after valid_from", "an earlier one")
        name = self._text(f"{path}.id", item.get("id"), _GRANT_ID, limit=64)
        if name in self._grants:
            self._wrong(f"{path}.id", "unique", "an id of its own", f"{name}, used before")
        self._grants.add(name)
        purpose, basis = self._text(f"{path}.purpose", item.get("purpose")), self._text(f"{path}.legal_basis", item.get("legal_basis"))
        if len(self.findings) > before:
            return None
        return Grant(
            id=name,
            agency=agency,
            role=role,
            contract=contract,
            operations=tuple(operations),
            fields=tuple(fields),
            purpose=purpose,
            legal_basis=basis,
            valid_from=start,
            valid_until=end,
            approved_by=tuple(officers),
            denies=denies,
        )

    def _granted(self, path: str, compiled: CompiledContract, operations: list[str], fields: list[str]) -> None:
        """Fields are those of what the holder of the grant gets to see: an operation's answer, or the event of a feed."""
        known = compiled.contract.operations
        checked: set[str] = set()
        for number, name in enumerate(operations):
            if name == ALL:
                checked.update(operation.answer for operation in known.values())
            elif name == FEED:
                checked.update(operation.request for operation in known.values())
            elif name in known:
                checked.add(known[name].answer)
            elif name:
                self._wrong(f"{path}.operations[{number}]", "reference", f"one of {', '.join([*known, FEED, ALL])}", name)
        for message in sorted(checked):
            for problem in compiled.check_fields(message, fields):
                self._wrong(f"{path}.fields", "reference", f"fields of {message} that can be shown or masked", problem)

    # --- what several parts have ------------------------------------------------------------------------------------------

    def _state(self, path: str, item: dict[str, Any], name: str) -> str:
        if "state" not in item:
            return ACTIVE
        self._stated.add(name)
        return self._text(f"{path}.state", item["state"], choice=(ACTIVE, SUSPENDED))

    def _contract(self, path: str, name: str) -> CompiledContract | None:
        found = self._contracts.get(name)
        if found is None and name:
            self._wrong(path, "reference", f"a contract in force ({', '.join(sorted(self._contracts)) or 'there is none'})", name)
        return found
