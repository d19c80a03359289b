"""Writes nodes as RDF: JSON-LD 1.1 with an inline context, Turtle and RDF/XML (RDF 1.1).

A node is a JSON-LD object: `@id` is absent for a blank node, `@type` is one class, the other names are properties as
prefixed names. A value is a text, a node, or a list of them; a literal is `{"@value", "@language" or "@type"}`.
Invariant: the three forms state the same triples. Nothing has to be fetched to read one.
Invariant: whatever a text holds, it stays a text: characters that XML does not have become U+FFFD, in all forms alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from lxml import etree

from contracts.wire.xmltext import ILLEGAL

PREFIXES: Final[Mapping[str, str]] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
Form = Literal["turtle", "json-ld", "rdf-xml"]
FORMS: Final[tuple[Form, ...]] = ("turtle", "json-ld", "rdf-xml")
MEDIA: Final[Mapping[Form, str]] = {
    "turtle": "text/turtle; charset=utf-8",
    "json-ld": "application/ld+json",
    "rdf-xml": "application/rdf+xml",
}
_MOST_ACCEPTED: Final = 32  # media ranges of one `Accept` that are looked at
_WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,3})?")
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

Node = dict[str, Any]


def written(nodes: Node | Sequence[Node], form: Form) -> bytes:
    """One node, or several, in a form."""
    return {"turtle": turtle, "json-ld": json_ld, "rdf-xml": rdf_xml}[form](nodes)


def json_ld(nodes: Node | Sequence[Node]) -> bytes:
    """One node, or several as a graph."""
    cleaned = _cleaned(nodes)
    body = cleaned if isinstance(nodes, dict) else {"@graph": cleaned}
    return (json.dumps({"@context": dict(PREFIXES), **body}, ensure_ascii=False, indent=1) + "\n").encode()


def turtle(nodes: Node | Sequence[Node]) -> bytes:
    lines = [f"@prefix {prefix}: <{uri}> ." for prefix, uri in PREFIXES.items()] + [""]
    for node in _each(nodes):
        _write(node, lines)
    return "\n".join(lines).encode()


def rdf_xml(nodes: Node | Sequence[Node]) -> bytes:
    root = etree.Element(f"{{{_RDF}}}RDF", nsmap={"rdf": _RDF, **PREFIXES})
    for node in _each(nodes):
        _element(root, node)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _each(nodes: Node | Sequence[Node]) -> list[Node]:
    cleaned: list[Node] = _cleaned([nodes] if isinstance(nodes, dict) else nodes)
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return ILLEGAL.sub("\ufffd", value)
    if isinstance(value, dict):
        return {name: _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(node: Node, lines: list[str]) -> str:
    """Appends the statements of a node, after those of the nodes inside it, and returns the term that names it."""
    if "@value" in node:
        text = _quoted(node["@value"])
        return f"{text}@{node['@language']}" if "@language" in node else f"{text}^^{node['@type']}"
    stated = [f"a {node['@type']}"] if "@type" in node else []
    for word, terms in _properties(node):
        stated.append(f"{word} {', '.join(_term(each, lines) for each in terms)}")
    if "@id" not in node:
        return f"[ {' ; '.join(stated)} ]"
    name = f"<{node['@id']}>"
    if stated:
        lines.append(name + " " + " ;\n    ".join(stated) + " .")
    return name


def _term(value: Any, lines: list[str]) -> str:
    return _quoted(value) if isinstance(value, str) else _write(value, lines)


def _properties(node: Node) -> list[tuple[str, list[Any]]]:
    """A property without a value is not stated."""
    named = ((word, value if isinstance(value, list) else [value]) for word, value in node.items() if word[0] != "@")
    return [(word, values) for word, values in named if values]


def _name(word: str) -> str:
    prefix, _, local = word.partition(":")
    return f"{{{PREFIXES[prefix]}}}{local}"


def _element(above: etree._Element, node: Node) -> None:
    element = etree.SubElement(above, _name(node["@type"]) if "@type" in node else f"{{{_RDF}}}Description")
    if "@id" in node:
        element.set(f"{{{_RDF}}}about", node["@id"])
    for word, values in _properties(node):
        for value in values:
            _property(etree.SubElement(element, _name(word)), value)


def _property(stated: etree._Element, value: Any) -> None:
    if isinstance(value, str):
        stated.text = value
    elif "@value" in value:
        stated.text = value["@value"]
        if "@language" in value:
            stated.set(_LANG, value["@language"])
        else:
            prefix, _, local = value["@type"].partition(":")
            stated.set(f"{{{_RDF}}}datatype", PREFIXES[prefix] + local)
    elif value.keys() == {"@id"}:
        stated.set(f"{{{_RDF}}}resource", value["@id"])
    else:
        _element(stated, value)


def accepted(accept: str, others: Mapping[str, str], default: str) -> str:
    """The form that an `Accept` asks for (RFC 9110, 12.5.1): one of RDF, or of `others`, media type -> form.

    Of several with the same weight the first one counts. `*/*` and what is not known ask for the default.
    """
    known: dict[str, str] = {**{media.partition(";")[0]: form for form, media in MEDIA.items()}, **others}
    best, weight = default, 0.0
    for part in accept.split(",", _MOST_ACCEPTED)[:_MOST_ACCEPTED]:
        media, *parameters = (each.strip().lower() for each in part.split(";"))
        form = default if media == "*/*" else known.get(media)
        if form is not None and (own := _weight(parameters)) > weight:
            best, weight = form, own
    return best


def _weight(parameters: Sequence[str]) -> float:
    stated = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return float(stated) if _WEIGHT.fullmatch(stated) is not None else 0.0
