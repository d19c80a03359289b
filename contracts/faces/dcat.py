"""The catalogue of contracts in DCAT 3 (W3C, 2024): contracts are data sets, their doors data services.

It is written as JSON-LD with an inline context, so that nothing is fetched, and as Turtle from the same nodes. The
legal basis uses `dcatap:applicableLegislation` (DCAT-AP 3), since DCAT has no term for it. Titles are Vietnamese and
English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from contracts.base.words import Words, WordsFile
from contracts.canonical.model import Contract
from contracts.compiled.contract import CompiledContract
from contracts.mapping.grid import MEDIA_TYPES

PREFIXES: Final[Mapping[str, str]] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_EU: Final = "http://publications.europa.eu/resource/authority/"
_IANA: Final = "https://www.iana.org/assignments/media-types/"
_LANGUAGES: Final = ("http://id.loc.gov/vocabulary/iso639-1/vi", "http://id.loc.gov/vocabulary/iso639-1/en")
_MEDIA: Final[Mapping[str, str]] = {"json": "application/json", "xml": "application/xml", **MEDIA_TYPES}
_words = WordsFile(__file__)

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Publisher:
    """The party responsible for a data set. `code` is the agency's, or the role's where no single agency has it."""

    code: str
    name: Words
    office: str = ""
    phone: str = ""
    email: str = ""

    def node(self) -> Node:
        return {
            "@id": f"urn:lgsp:agency:{quote(self.code)}",
            "@type": "foaf:Agent",
            "foaf:name": _said(self.name),
            "dct:identifier": self.code,
        }

    def contact(self) -> Node:
        """Where to ask (`dcat:contactPoint`): an office, not a person."""
        digits = "".join(each for each in self.phone if each.isdigit())
        number = f"+84{digits[1:]}" if digits.startswith("0") else f"+{digits}"
        return {
            "@type": "vcard:Organization",
            "vcard:fn": self.office or self.name.vi,
            "vcard:organization-name": _said(self.name),
            **({"vcard:hasTelephone": {"@id": f"tel:{number}"}} if digits else {}),
            **({"vcard:hasEmail": {"@id": f"mailto:{quote(self.email, safe='@')}"}} if self.email else {}),
        }


def catalogue(contracts: Sequence[tuple[CompiledContract, Publisher]], publisher: Publisher, base: str) -> Node:
    """The catalogue with every data set and service. `base` is the public base address."""
    at = f"{base.rstrip('/')}/contracts"
    sets = [dataset(each, owner, base) for each, owner in contracts]
    services = [service for each, owner in contracts for service in _services(each, owner, base)]
    changed = max((each.contract.catalogue.modified for each, _ in contracts), default="")
    return {
        "@id": at,
        "@type": "dcat:Catalog",
        "dct:title": _said(_words("catalogue.title")),
        "dct:description": _said(_words("catalogue.about")),
        "dct:publisher": publisher.node(),
        "dct:language": [{"@id": each} for each in _LANGUAGES],
        **_modified(changed),
        "dcat:contactPoint": publisher.contact(),
        "dcat:dataset": sets,
        "dcat:service": services,
    }


def dataset(compiled: CompiledContract, publisher: Publisher, base: str) -> Node:
    """The data set of one contract, with its distributions."""
    contract = compiled.contract
    at = f"{base.rstrip('/')}/contracts/{contract.name}"
    facts = contract.catalogue
    services = _services(compiled, publisher, base)
    return {
        "@id": at,
        "@type": "dcat:Dataset",
        "dct:identifier": contract.name,
        "dct:title": _said(contract.title),
        "dct:description": _said(contract.description),
        "dct:publisher": publisher.node(),
        "dct:language": [{"@id": each} for each in _LANGUAGES],
        "dct:accessRights": {"@id": f"{_EU}access-right/RESTRICTED", "@type": "dct:RightsStatement"},
        "dcatap:applicableLegislation": [
            {"@type": "eli:LegalResource", "dct:title": _text(each, "vi")} for each in contract.legal_basis
        ],
        "dcat:contactPoint": publisher.contact(),
        **(
            {"dct:accrualPeriodicity": {"@id": f"{_EU}frequency/{facts.frequency}", "@type": "dct:Frequency"}}
            if facts.frequency
            else {}
        ),
        **_themes(contract),
        **(
            {"dct:spatial": {"@type": "dct:Location", "skos:prefLabel": _said(facts.spatial)}}
            if facts.spatial is not None
            else {}
        ),
        **_modified(facts.modified),
        "dcat:version": contract.version,
        "dcat:landingPage": {"@id": f"{at}?lang=vi", "@type": "foaf:Document"},
        "dcat:distribution": _distributions(compiled, at, services),
    }


def entry(compiled: CompiledContract, publisher: Publisher, base: str) -> list[Node]:
    """The data set of one contract and its services."""
    return [dataset(compiled, publisher, base), *_services(compiled, publisher, base)]


def _themes(contract: Contract) -> Node:
    if not contract.catalogue.themes:
        return {}
    return {
        "dcat:theme": [
            {"@id": f"{_EU}data-theme/{each}", "@type": "skos:Concept"} for each in contract.catalogue.themes
        ]
    }


def _modified(date: str) -> Node:
    return {"dct:modified": {"@value": date, "@type": "xsd:date"}} if date else {}


def _licence(contract: Contract) -> Node:
    """The terms of use, of what is delivered (`dct:license` is a property of distributions and services)."""
    terms = contract.catalogue.licence
    return {} if terms is None else {"dct:license": {"@type": "dct:LicenseDocument", "dct:title": _said(terms)}}


def _distributions(compiled: CompiledContract, at: str, services: Sequence[Node]) -> list[Node]:
    """The data in each format of the doors."""
    rest, soap = ({"@id": service["@id"]} for service in services[:2])
    title = compiled.contract.title
    distributions = [
        _distribution(f"{at}#json", title, rest, "json", f"{at}/schema.json"),
        _distribution(f"{at}#xml", title, soap, "xml", f"{soap['@id']}?xsd"),
    ]
    for name, codec in compiled.formats.items():
        if name != "canonical":
            title = Words(f"{compiled.contract.title.vi} ({name})", f"{compiled.contract.title.en} ({name})")
            described = {"json": "openapi.json", "xml": "schema.xsd"}.get(codec.media)
            schema = None if described is None else f"{at}/formats/{name}/{described}"
            distributions.append(
                _distribution(
                    f"{at}/formats/{name}", title, soap if codec.media == "xml" else rest, codec.media, schema
                )
            )
    return [{**each, **_licence(compiled.contract)} for each in distributions]


def _distribution(at: str, title: Words, service: Node, media: str, schema: str | None) -> Node:
    return {
        "@id": at,
        "@type": "dcat:Distribution",
        "dct:title": _said(title),
        "dcat:accessService": service,
        "dcat:accessURL": service,
        "dcat:mediaType": {"@id": _IANA + _MEDIA[media], "@type": "dct:MediaType"},
        **({} if schema is None else {"dct:conformsTo": {"@id": schema, "@type": "dct:Standard"}}),
    }


def _services(compiled: CompiledContract, publisher: Publisher, base: str) -> list[Node]:
    """REST first, SOAP second, then the feed where there is one."""
    contract, root = compiled.contract, base.rstrip("/")
    served = {"@id": f"{root}/contracts/{contract.name}"}

    def service(address: str, kind: str, description: str) -> Node:
        return {
            "@id": address,
            "@type": "dcat:DataService",
            "dct:title": _said(Words(f"{contract.title.vi} ({kind})", f"{contract.title.en} ({kind})")),
            "dcat:endpointURL": {"@id": address},
            "dcat:endpointDescription": {"@id": description},
            "dcat:servesDataset": served,
            "dct:publisher": {"@id": publisher.node()["@id"]},
            "dcat:contactPoint": publisher.contact(),
            **_themes(contract),
            **_licence(contract),
        }

    soap = f"{root}/soap/{contract.name}"
    services = [
        service(f"{root}/{contract.name}", "REST", f"{root}/contracts/{contract.name}/openapi.json"),
        service(soap, "SOAP", f"{soap}?wsdl"),
    ]
    if contract.fed:
        services.append(
            service(f"{root}/feeds/{contract.name}", "CloudEvents", f"{root}/contracts/{contract.name}/schema.json")
        )
    return services


def _said(words: Words) -> list[Node]:
    return [_text(words.vi, "vi"), _text(words.en, "en")]


def _text(text: str, language: str) -> Node:
    return {"@value": text, "@language": language}


def json_ld(nodes: Node | Sequence[Node]) -> bytes:
    """One node, or several as a graph, with an inline context."""
    body = dict(nodes) if isinstance(nodes, dict) else {"@graph": list(nodes)}
    return (json.dumps({"@context": dict(PREFIXES), **body}, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def turtle(nodes: Node | Sequence[Node]) -> bytes:
    """The same nodes in Turtle (RDF 1.1)."""
    lines = [f"@prefix {prefix}: <{uri}> ." for prefix, uri in PREFIXES.items()] + [""]
    for node in [nodes] if isinstance(nodes, dict) else nodes:
        _write(node, lines)
    return "\n".join(lines).encode("utf-8")


def _write(node: Node, lines: list[str]) -> str:
    """Appends the statements of a node, after those of the nodes inside it, and returns the term that names it."""
    if "@value" in node:
        text = json.dumps(node["@value"], ensure_ascii=False)
        return f"{text}@{node['@language']}" if "@language" in node else f"{text}^^{node['@type']}"
    stated = [f"a {node['@type']}"] if "@type" in node else []
    for word, value in node.items():
        if not word.startswith("@"):
            terms = [_term(each, lines) for each in (value if isinstance(value, list) else [value])]
            stated.append(f"{word} {', '.join(terms)}")
    if "@id" not in node:
        return f"[ {' ; '.join(stated)} ]"
    name = f"<{node['@id']}>"
    if stated:
        lines.append(name + " " + " ;\n    ".join(stated) + " .")
    return name


def _term(value: Any, lines: list[str]) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _write(value, lines)
