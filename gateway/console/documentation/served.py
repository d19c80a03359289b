"""Serves the documentation site: the pages that were made once, the contracts in force, their changes, the search.

    /docs                                 to the language of the browser
    /docs/{vi|en}                         the start page, by role
    /docs/{vi|en}/{name}                  a guide, the errors, an API
    /docs/{vi|en}/in-force                what is in force, each with its documents
    /docs/{vi|en}/changes/{id}/v{major}   what changed between the published versions
    /docs/{vi|en}/search?q=               sections that have the words
    /docs/errors/{code}                   to the code on the page of errors

Invariant: nothing is shown but guides, words of the code, and contracts that are published. No cookie says more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs, quote

from contracts.base.words import Language
from contracts.canonical.model import Struct, group
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.diff.changes import Change
from contracts.diff.compare import differences
from contracts.wire import problems
from gateway.console.documentation import searching
from gateway.console.documentation.fixed_pages import EVERY, HTML, ROOT, File, file, page
from gateway.console.documentation.searching import Section, section
from gateway.console.site.desk import Desk
from gateway.doors.document_addresses import foreign_faces
from gateway.doors.documents import unless_known
from gateway.doors.errors import ADDRESS_METHOD, ADDRESS_UNKNOWN
from gateway.doors.reply import Reply
from gateway.errors import every
from gateway.registry import versions

IN_FORCE: Final = "in-force"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "vary": "accept-language",
}


def is_served(path: str) -> bool:
    return path == ROOT or path.startswith(f"{ROOT}/")


def reply(desk: Desk, scope: Any) -> Reply:
    """The answer to a request below `/docs`. Raises `address.method`, `address.unknown`."""
    path: str = scope["path"]
    if scope["method"] not in ("GET", "HEAD"):
        raise ADDRESS_METHOD(method=scope["method"], path=path[:200], allowed="GET")
    languages = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"), "")
    if path.rstrip("/") == ROOT:
        return _moved(f"{ROOT}/{problems.language_of(languages)}")
    code = path.removeprefix(f"{ROOT}/errors/")
    if code in every():
        return _moved(f"{ROOT}/{problems.language_of(languages)}/errors#{quote(code)}")
    settings = desk.services.settings
    fixed = EVERY.of(settings.name, settings.kind)
    found = fixed.files.get(path.rstrip("/")) or _made(desk, path, scope["query_string"].decode("latin-1"))
    if found is None:
        raise ADDRESS_UNKNOWN(method=scope["method"], path=path[:200], catalogue=ROOT)
    headers = {**_HEADERS, "content-type": found.media}
    return unless_known(Reply(200, headers, found.content), scope)


def _moved(to: str) -> Reply:
    return Reply(303, {**_HEADERS, "location": to}, b"")


def _made(desk: Desk, path: str, query: str) -> File | None:
    """A page that depends on the contracts in force, or on a question."""
    _, _, written, name, *rest = [*path.split("/"), "", "", ""][:7]
    if written not in ("vi", "en"):
        return None
    language: Language = "vi" if written == "vi" else "en"
    settings, snapshot = desk.services.settings, desk.services.registry.snapshot
    frame = {"instance": settings.name, "kind": settings.kind}
    contracts = tuple(each for _, each in sorted(snapshot.contracts.items()))
    if name == IN_FORCE and not any(rest):
        listed = [_Listed(each) for each in contracts]
        return file(page(language, frame, "docs-contracts.html", name, contracts=listed).encode(), HTML)
    if name == "search" and not any(rest):
        question = parse_qs(query).get("q", [""])[0][: searching.MOST_LETTERS]
        known = EVERY.of(settings.name, settings.kind).sections[language]
        results = searching.find([*known, *(each for of in contracts for each in _fields(of, language))], question)
        there = f"search?q={quote(question)}"
        return file(page(language, frame, "docs-search.html", there, question=question, results=results).encode())
    of = snapshot.contracts.get("/".join(rest[:2]))
    if name == "changes" and of is not None and not any(rest[2:]):
        at = f"changes/{of.contract.name}"
        values = {"contract": of.contract, "steps": _steps(desk, of.contract.name)}
        return file(page(language, frame, "docs-changes.html", at, **values).encode())
    return None


class _Listed:
    """A contract in the list, with the addresses of its documents."""

    def __init__(self, of: CompiledContract) -> None:
        self.contract, self.name = of.contract, of.contract.name
        at = f"/contracts/{self.name}"
        leaves = sorted(foreign_faces(of).items())
        foreign = [(f"{at}/formats/{name}/{leaf}", f"{name}: {leaf}") for name, leaf in leaves]
        self.documents = [
            (f"{at}/openapi.json", "OpenAPI"),
            (f"/soap/{self.name}?wsdl", "WSDL"),
            (f"/soap/{self.name}?xsd", "XSD"),
            (f"{at}/schema.json", "JSON Schema"),
            *([(f"{at}/asyncapi.json", "AsyncAPI 3")] if of.contract.fed else []),
            (f"{at}/dcat.jsonld", "DCAT"),
            *foreign,
        ]


@lru_cache(maxsize=512)
def _fields(of: CompiledContract, language: Language) -> tuple[Section, ...]:
    """The contract and its messages, as the search finds them: by the names and titles of fields, and by codes."""
    contract, at = of.contract, f"/contracts/{of.contract.name}?lang={language}"
    title, seen = contract.title.of(language), dict[str, Struct]()
    for name in of.exchanged:
        _collect(of.messages[name], seen)
    operations = " ".join(f"{each.name} {each.title.of(language)}" for each in contract.operations.values())
    found = [section(at, title, contract.name, f"{contract.description.of(language)} {operations}")]
    for name, struct in seen.items():
        text = "; ".join(f"{each.name}: {each.title}" if each.title else each.name for each in struct.fields)
        found.append(section(f"{at}#{name}", title, name, text))
    for table in of.tables.values():
        text = "; ".join(f"{row.code} {row.vi if language == 'vi' else row.en}" for row in table.rows)
        found.append(section(at, title, table.name, text))
    return tuple(found)


def _collect(struct: Struct, seen: dict[str, Struct]) -> None:
    if struct.name in seen:
        return
    seen[struct.name] = struct
    for each in struct.fields:
        inner = group(each.type)
        if inner is not None:
            _collect(inner, seen)


class _Step:
    """From one published version to the next one."""

    def __init__(self, old: str, new: str, changes: tuple[Change, ...]) -> None:
        self.old, self.new, self.changes = old, new, changes


def _steps(desk: Desk, name: str) -> list[_Step]:
    """The newest first. A version that was withdrawn is left out."""
    with desk.reading() as connection:
        known = [each for each in versions.stored(connection, name) if not each.withdrawn]
    pairs = zip(known, known[1:], strict=False)
    return [_Step(old.version, new.version, _changes(desk, old.digest, new.digest)) for old, new in pairs][::-1]


_KNOWN: Final[dict[tuple[str, str], tuple[Change, ...]]] = {}  # bundles never change: one entry for each publication


def _changes(desk: Desk, old: str, new: str) -> tuple[Change, ...]:
    if (old, new) not in _KNOWN:
        with desk.reading() as connection:
            bundles = versions.load(connection, old), versions.load(connection, new)
        before, after = ((each, compile_bundle(each)) for each in bundles)
        _KNOWN[old, new] = tuple(differences(before, after))
    return _KNOWN[old, new]
