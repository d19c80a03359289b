"""Reads the agencies and systems of a registry document: contacts, formats, addresses.

Article 12.3 of the regulation: an agency has a contact.
Invariant: an active system has a contact, its own or its agency's.
Invariant: findings are collected by path; nothing here uses a database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.kinds import FILES, KINDS
from adapters.model import DropFolder, DropRule, Endpoint
from contracts.canonical.model import Pattern
from contracts.compiled.contract import CompiledContract
from gateway.registry.parts.chosen import Chosen
from gateway.registry.parts.contacts import StatedContacts
from gateway.registry.records import ACTIVE, NEWEST, SUSPENDED, Agency, System
from gateway.registry.tenants import is_tenant
from gateway.registry.versions import minor_of
from security.pki.authority import GATEWAY

AGENCY_CODE: Final = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)*")
_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MINOR: Final = re.compile(r"[1-9][0-9]*\.[0-9]+")
_PLACEHOLDER: Final = re.compile(r"\{([a-z0-9-]+)\}")
Minor = Callable[[str, str], CompiledContract | None]  # contract name, minor version -> the published contract


class Parties(Chosen, StatedContacts):
    """The agencies and systems of a document."""

    def __init__(self, contracts: Mapping[str, CompiledContract], fill: Mapping[str, str], minor: Minor) -> None:
        super().__init__(contracts)
        self._fill = fill
        self._minor = minor
        self._agencies: dict[str, Agency] = {}
        self._systems: dict[str, System] = {}
        self._stated: set[str] = set()
        self._folders: set[str] = set()

    def _agency(self, path: str, raw: Any) -> None:
        item = self._mapping(path, raw, {"code", "name", "level", "roles", "contact", "contacts", "state"})
        code = self._text(f"{path}.code", item.get("code"), AGENCY_CODE, limit=35)
        agency = Agency(
            code=code,
            name=self._words(f"{path}.name", item.get("name")),
            level=self._text(
                f"{path}.level", item.get("level"), choice=("province", "department", "commune", "outside")
            ),
            roles=tuple(self._text(at, role, _ID) for at, role in self._list(f"{path}.roles", item.get("roles", []))),
            contacts=self._contacts(path, item),
            state=self._state(path, item, f"agency {code}"),
        )
        if is_tenant(code):
            self._wrong(f"{path}.code", "reserved", "another code: these are of vendors who enrol in a sandbox", code)
        if code in self._agencies:
            self._wrong(f"{path}.code", "unique", "a code of its own", f"{code}, used before")
        self._agencies[code] = agency

    def _system(self, path: str, raw: Any) -> None:
        item = self._mapping(
            path,
            raw,
            {
                *("id", "agency", "title", "formats", "endpoint", "callback", "sources", "state", "contact"),
                *("contacts", "keys"),
            },
        )
        name = self._text(f"{path}.id", item.get("id"), _ID, limit=64)
        agency = self._text(f"{path}.agency", item.get("agency"))
        if agency and agency not in self._agencies:
            self._wrong(f"{path}.agency", "reference", "the code of an agency of this document", agency)
        formats: dict[str, str] = {}
        versions: dict[str, str] = {}
        for contract, value in self._mapping(f"{path}.formats", item.get("formats", {})).items():
            self._format(f"{path}.formats.{contract}", contract, value, formats, versions)
        endpoint, drop = None, None
        if isinstance(item.get("endpoint"), dict) and item["endpoint"].get("kind") == FILES.name:
            drop = self._drop(f"{path}.endpoint", item["endpoint"])
        elif item.get("endpoint") is not None:
            endpoint = self._endpoint(f"{path}.endpoint", name, item["endpoint"])
        if name == GATEWAY:
            self._wrong(
                f"{path}.id", "reserved", "another id: certificates of this name speak for the gateway itself", name
            )
        if name in self._systems:
            self._wrong(f"{path}.id", "unique", "an id of its own", f"{name}, used before")
        title = self._words(f"{path}.title", item.get("title"))
        state = self._state(path, item, f"system {name}")
        contacts = self._contacts(path, item)
        if state == ACTIVE and not contacts and agency in self._agencies and not self._agencies[agency].contacts:
            self._wrong(
                f"{path}.contact",
                "required",
                "a contact of the system or of its agency, for a connection to live",
                "nothing",
            )
        for at, each in self._list(f"{path}.keys", item.get("keys", [])):
            self._key(at, name, each)
        self._systems[name] = System(
            id=name,
            agency=agency,
            title=title,
            formats=formats,
            endpoint=endpoint,
            state=state,
            drop=drop,
            versions=versions,
            contacts=contacts,
            callback=self._callback(f"{path}.callback", item["callback"]) if "callback" in item else None,
            sources=self._sources(f"{path}.sources", item.get("sources", [])),
        )

    def _callback(self, path: str, raw: Any) -> str:
        """No query and no user: what is sent there is signed, and says all."""
        url = self._text(path, raw, limit=500)
        parts = urlsplit(url)
        if url and (
            parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc
        ):
            self._wrong(path, "format", "an https address without query", url)
        return url

    def _format(self, path: str, contract: str, value: Any, formats: dict[str, str], versions: dict[str, str]) -> None:
        """A format's name, or `{format, version}` with the minor version of the system."""
        compiled = self._contract(path, contract)
        if isinstance(value, dict):
            item = self._mapping(path, value, {"format", "version"})
            value = item.get("format", "canonical")
            version = item.get("version")
            if isinstance(version, (int, float)):
                version = str(version)  # a number without quotes
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
            self._wrong(
                path, "reference", f"one of the formats {', '.join(sorted(compiled.formats))}", formats[contract]
            )

    def _published(self, path: str, newest: CompiledContract, version: str) -> CompiledContract | None:
        force = newest.contract.version
        numbers = [tuple(map(int, each.split("."))) for each in (version, minor_of(force))]
        published = self._minor(newest.contract.name, version) if numbers[0] <= numbers[1] else None
        if published is None:
            self._wrong(
                path,
                "reference",
                f"a minor version that was published, up to {minor_of(force)}, which is in force",
                version,
            )
        return published

    def _drop(self, path: str, raw: dict[str, Any]) -> DropFolder:
        """A drop folder and its file rules. Only submissions and dispatches can be dropped: a file gets no answer."""
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
            if compiled is not None and compiled.contract.protection == "encrypted":
                self._wrong(
                    f"{at}.contract",
                    "protection",
                    "a contract whose bodies are not encrypted: a file lies there in clear",
                    contract,
                )
            elif compiled is not None:
                known = compiled.contract.operations
                if operation not in known or known[operation].pattern is Pattern.QUERY:
                    handed = [each.name for each in known.values() if each.pattern is not Pattern.QUERY]
                    self._wrong(f"{at}.operation", "reference", f"one of {', '.join(handed) or 'none'}", operation)
                else:
                    request = known[operation].request
                    fits = [
                        codec.name
                        for codec in compiled.formats.values()
                        if codec.media in ("csv", "xlsx") and request in codec.mapped
                    ]
                    if name not in fits:
                        self._wrong(
                            f"{at}.format", "reference", f"a table of {request}: {', '.join(fits) or 'none'}", name
                        )
            rules.append(DropRule(match, contract, operation, name))
        if not rules:
            self._wrong(f"{path}.rules", "required", "at least one rule: match, contract, operation, format", "none")
        return DropFolder(folder, tuple(rules))

    def _endpoint(self, path: str, system: str, raw: Any) -> Endpoint:
        by_option = {option.name: kind.name for kind in KINDS.values() for option in kind.options}
        item = self._mapping(path, raw, {"kind", "url", *by_option})
        kind = KINDS.get(self._text(f"{path}.kind", item.get("kind"), choice=tuple(KINDS)))
        options: dict[str, str] = {}
        of_kind = {option.name: option for option in kind.options} if kind is not None else {}
        for name in item.keys() & by_option.keys() if kind is not None else ():
            option = of_kind.get(name)
            if option is None:
                expected = f"a {name} only of an endpoint of kind {by_option[name]}"
                self._wrong(f"{path}.{name}", "key", expected, str(item[name]))
            elif (value := self._text(f"{path}.{name}", item[name], choice=option.choices)) != option.default:
                options[name] = value
        url = self._text(f"{path}.url", item.get("url"))

        def filled(match: re.Match[str]) -> str:
            if match[1] not in self._fill:
                self._wrong(
                    f"{path}.url",
                    "placeholder",
                    "an address; what stands in braces is filled in by a sandbox alone",
                    match[0],
                )
            return self._fill.get(match[1], match[0])

        before = len(self.findings)
        url = _PLACEHOLDER.sub(filled, url)
        parts, scheme = urlsplit(url), kind.scheme if kind is not None else "https"
        if (
            len(self.findings) == before
            and url
            and (parts.scheme != scheme or not parts.hostname or parts.query or parts.fragment)
        ):
            self._wrong(f"{path}.url", "format", f"an {scheme} address without query", url)
        return Endpoint(system, kind.name if kind is not None else "", url, options=options)

    def _state(self, path: str, item: dict[str, Any], name: str) -> str:
        if "state" not in item:
            return ACTIVE
        self._stated.add(name)
        return self._text(f"{path}.state", item["state"], choice=(ACTIVE, SUSPENDED))
