"""The catalogue of contracts in DCAT 3 (W3C, 2024) by DCAT-AP 3: contracts are data sets, their doors data services.

The legal basis uses `dcatap:applicableLegislation`, since DCAT has no term for it. Texts are Vietnamese and English.
What an instance knows of a data set besides its contract is in `Facts`: sources, conditions, period, quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from contracts.base.words import Words, WordsFile
from contracts.canonical.model import Contract
from contracts.compiled.contract import CompiledContract
from contracts.faces.dqv import Measured, measurements, text, words_of
from contracts.faces.rdf import Node
from contracts.mapping.grid import MEDIA_TYPES

_EU: Final = "http://publications.europa.eu/resource/authority/"
_IANA: Final = "https://www.iana.org/assignments/media-types/"
_LANGUAGES: Final = ("http://id.loc.gov/vocabulary/iso639-1/vi", "http://id.loc.gov/vocabulary/iso639-1/en")
_THEMES: Final = f"{_EU}data-theme"
_KINDS: Final[Mapping[str, str]] = {"json": "JSON", "xml": "XML", "csv": "CSV", "xlsx": "XLSX"}
_MEDIA: Final[Mapping[str, str]] = {"json": "application/json", "xml": "application/xml", **MEDIA_TYPES}
_words = WordsFile(__file__)


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
            "foaf:name": words_of(self.name),
            "dct:identifier": self.code,
        }

    def contact(self) -> Node:
        """Where to ask (`dcat:contactPoint`): an office, not a person."""
        digits = "".join(each for each in self.phone if each.isdigit())
        number = f"+84{digits[1:]}" if digits.startswith("0") else f"+{digits}"
        return {
            "@type": "vcard:Organization",
            "vcard:fn": self.office or self.name.vi,
            "vcard:organization-name": words_of(self.name),
            **({"vcard:hasTelephone": {"@id": f"tel:{number}"}} if digits else {}),
            **({"vcard:hasEmail": {"@id": f"mailto:{quote(self.email, safe='@')}"}} if self.email else {}),
        }


@dataclass(frozen=True, slots=True)
class Origin:
    """A system that the data come from. `declared`: it is the one source of what `scope` says, else it answers."""

    system: str
    title: Words
    agency: Publisher
    operation: str
    scope: str
    declared: bool

    def node(self) -> Node:
        role = "source" if self.declared else "provider"
        return {
            "@type": "prov:Attribution",
            "prov:agent": {
                "@id": f"urn:lgsp:system:{quote(self.system)}",
                "@type": "prov:SoftwareAgent",
                "rdfs:label": words_of(self.title),
                "prov:actedOnBehalfOf": self.agency.node(),
            },
            "dcat:hadRole": {
                "@id": f"urn:lgsp:role:{role}",
                "@type": "dcat:Role",
                "skos:prefLabel": words_of(_words(f"role.{role}")),
            },
            "dct:description": f"{self.operation}: {self.scope}" if self.scope else self.operation,
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What an instance knows of a data set. `conditions` say under what it may be had. `begins` and `ends` are those of
    the events that its feed holds; empty if there is none.
    """

    origins: tuple[Origin, ...] = ()
    conditions: tuple[Words, ...] = ()
    begins: str = ""
    ends: str = ""
    measured: Measured | None = None


class Entry(NamedTuple):
    """A data set of the catalogue."""

    compiled: CompiledContract
    owner: Publisher
    facts: Facts = Facts()


def catalogue(entries: Sequence[Entry], publisher: Publisher, base: str) -> Node:
    """The catalogue with every data set and service. `base` is the public base address."""
    at = f"{base.rstrip('/')}/contracts"
    contracts = [(each.compiled, each.owner) for each in entries]
    sets = [dataset(each, base) for each in entries]
    services = [service for each, owner in contracts for service in _services(each, owner, base)]
    changed = max((each.contract.catalogue.modified for each, _ in contracts), default="")
    return {
        "@id": at,
        "@type": "dcat:Catalog",
        "dct:title": words_of(_words("catalogue.title")),
        "dct:description": words_of(_words("catalogue.about")),
        "dct:publisher": publisher.node(),
        "dct:language": [{"@id": each} for each in _LANGUAGES],
        "dcat:themeTaxonomy": {"@id": _THEMES},
        "foaf:homepage": {"@id": f"{at}?lang=vi", "@type": "foaf:Document"},
        **_modified(changed),
        "dcat:contactPoint": publisher.contact(),
        "dcat:dataset": sets,
        "dcat:service": services,
    }


def dataset(entry: Entry, base: str) -> Node:
    """The data set of one contract, with its distributions."""
    compiled, publisher, known = entry
    contract = compiled.contract
    at = f"{base.rstrip('/')}/contracts/{contract.name}"
    facts = contract.catalogue
    services = _services(compiled, publisher, base)
    return {
        "@id": at,
        "@type": "dcat:Dataset",
        "dct:identifier": contract.name,
        "dct:title": words_of(contract.title),
        "dct:description": words_of(contract.description),
        "dct:publisher": publisher.node(),
        "dct:language": [{"@id": each} for each in _LANGUAGES],
        "dct:accessRights": {"@id": f"{_EU}access-right/RESTRICTED", "@type": "dct:RightsStatement"},
        "dcatap:applicableLegislation": [
            {"@id": f"urn:lgsp:law:{quote(each, safe='')}", "@type": "eli:LegalResource", "dct:title": text(each, "vi")}
            for each in contract.legal_basis
        ],
        "dcat:contactPoint": publisher.contact(),
        **(
            {"dct:accrualPeriodicity": {"@id": f"{_EU}frequency/{facts.frequency}", "@type": "dct:Frequency"}}
            if facts.frequency
            else {}
        ),
        **_themes(contract),
        **_keywords(contract),
        **(
            {"dct:spatial": {"@type": "dct:Location", "skos:prefLabel": words_of(facts.spatial)}}
            if facts.spatial is not None
            else {}
        ),
        **_period(known),
        **_modified(facts.modified),
        "dcat:version": contract.version,
        "dcat:landingPage": {"@id": f"{at}?lang=vi", "@type": "foaf:Document"},
        "prov:qualifiedAttribution": [each.node() for each in known.origins],
        "dcat:distribution": _distributions(entry, at, services),
        **({} if known.measured is None else measurements(known.measured, at)),
    }


def alone(entry: Entry, base: str) -> list[Node]:
    """The data set of one contract and its services."""
    return [dataset(entry, base), *_services(entry.compiled, entry.owner, base)]


def theme(code: str) -> Words:
    """The name of a theme of the EU's table."""
    return _words(f"theme.{code}")


def frequency(code: str) -> Words:
    """The name of a frequency of the EU's table."""
    return _words(f"frequency.{code}")


def _period(known: Facts) -> Node:
    if not known.begins:
        return {}
    return {
        "dct:temporal": {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": {"@value": known.begins, "@type": "xsd:dateTime"},
            "dcat:endDate": {"@value": known.ends, "@type": "xsd:dateTime"},
        }
    }


def _themes(contract: Contract) -> Node:
    if not contract.catalogue.themes:
        return {}
    return {
        "dcat:theme": [
            {"@id": f"{_THEMES}/{each}", "@type": "skos:Concept", "skos:prefLabel": words_of(theme(each))}
            for each in contract.catalogue.themes
        ]
    }


def _keywords(contract: Contract) -> Node:
    themes = [theme(each) for each in contract.catalogue.themes]
    return {"dcat:keyword": [node for each in (contract.title, *themes) for node in words_of(each)]}


def _modified(date: str) -> Node:
    return {"dct:modified": {"@value": date, "@type": "xsd:date"}} if date else {}


def _licence(contract: Contract) -> Node:
    """The terms of use, of what is delivered (`dct:license` is a property of distributions and services)."""
    terms = contract.catalogue.licence
    return {} if terms is None else {"dct:license": {"@type": "dct:LicenseDocument", "dct:title": words_of(terms)}}


def _distributions(entry: Entry, at: str, services: Sequence[Node]) -> list[Node]:
    """The data in each format of the doors, and as a feed where there is one."""
    compiled = entry.compiled
    rest, soap, *feed = ({"@id": service["@id"]} for service in services)
    title = compiled.contract.title
    distributions = [
        _distribution(f"{at}#json", title, rest, "json", f"{at}/schema.json"),
        _distribution(f"{at}#xml", title, soap, "xml", f"{soap['@id']}?xsd"),
        *(_distribution(f"{at}#feed", _kind(title, "CloudEvents"), each, "json", f"{at}/schema.json") for each in feed),
    ]
    for name, codec in compiled.formats.items():
        if name != "canonical":
            described = {"json": "openapi.json", "xml": "schema.xsd"}.get(codec.media)
            schema = None if described is None else f"{at}/formats/{name}/{described}"
            door = soap if codec.media == "xml" else rest
            distributions.append(_distribution(f"{at}/formats/{name}", _kind(title, name), door, codec.media, schema))
    shared = {
        "dct:description": words_of(compiled.contract.description),
        "dcatap:availability": {"@id": f"{_EU}planned-availability/AVAILABLE"},
        "dct:rights": {
            "@type": "dct:RightsStatement",
            "rdfs:label": words_of(_words("rights", ask=entry.owner.name)),
            "dct:description": [node for each in entry.facts.conditions for node in words_of(each)],
        },
    }
    return [{**each, **shared, **_licence(compiled.contract)} for each in distributions]


def _kind(title: Words, kind: str) -> Words:
    return Words(f"{title.vi} ({kind})", f"{title.en} ({kind})")


def _distribution(at: str, title: Words, service: Node, media: str, schema: str | None) -> Node:
    return {
        "@id": at,
        "@type": "dcat:Distribution",
        "dct:title": words_of(title),
        "dcat:accessService": service,
        "dcat:accessURL": service,
        "dcat:mediaType": {"@id": _IANA + _MEDIA[media], "@type": "dct:MediaType"},
        "dct:format": {"@id": f"{_EU}file-type/{_KINDS[media]}", "@type": "dct:MediaTypeOrExtent"},
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
            "dct:title": words_of(_kind(contract.title, kind)),
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
