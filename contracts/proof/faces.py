"""Checks the faces of a contract: generated samples, and each foreign face against what the format writes.

Invariant: nothing is fetched and no file is written; schemas that import each other are resolved in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import jsonschema_rs
from lxml import etree

from contracts.base.errors import Failure, Finding
from contracts.canonical.model import Sample
from contracts.canonical.patterns import draft4
from contracts.compiled.contract import CompiledContract
from contracts.errors import XML_TOO_LARGE
from contracts.faces.examples import Unsatisfiable
from contracts.faces.foreign import xsd
from contracts.faces.foreign.jsonschema import foreign_definitions
from contracts.faces.samples import Generated, of_message
from contracts.wire.soap import parse_xml

_SCHEMAS: Final = "#/components/schemas/"


def generated_samples(
    compiled: CompiledContract, findings: list[Finding], spend: Callable[[], None] = lambda: None
) -> str:
    """Checks the generated samples and returns a summary. A message without samples is a finding.

    `spend` is called after each message, here and below.
    """
    counted: Counter[bool] = Counter()
    for message in compiled.exchanged:
        try:
            samples = of_message(compiled, message)
            spend()
        except Unsatisfiable as error:
            findings.append(
                Finding("schema.json", message, str(error), "sample", "constraints that one value can keep")
            )
            continue
        for each in samples:
            wrong = _broken(compiled, each)
            spend()
            counted[not each.rule] += 1
            if wrong:
                where = f"{message} {each.name} ({each.media})"
                findings.append(Finding("schema.json", where, wrong, "sample", each.rule or "accepted"))
    return (
        f"generated samples: {counted[True]} valid ones are accepted, {counted[False]} invalid ones refused, "
        "each by its rule"
    )


def _broken(compiled: CompiledContract, sample: Generated) -> str:
    codec = compiled.codec("canonical")
    try:
        if sample.media == "json":
            codec.read_json(sample.message, sample.content)
        else:
            codec.read_xml(sample.message, parse_xml(sample.content))
    except Failure as failure:
        rules = [each.rule for each in failure.findings] or [failure.code]
        # with so many items the document exceeds the size limit of the parser
        too_large = sample.rule == "length" and failure.code == XML_TOO_LARGE.code
        return "" if sample.rule in rules or too_large else ", ".join(rules)
    return "accepted" if sample.rule else ""


def foreign_faces(
    compiled: CompiledContract, findings: list[Finding], spend: Callable[[], None] = lambda: None
) -> list[str]:
    """Checks that what a format writes of every sample is valid by the XSD or OpenAPI of the format."""
    proved = []
    for name, codec in compiled.formats.items():
        if name == "canonical" or codec.media not in ("xml", "json"):
            continue
        try:
            refused = xml_face(compiled, name) if codec.media == "xml" else json_face(compiled, name)
        except etree.XMLSchemaParseError as error:
            findings.append(
                Finding(f"systems/{name}.yaml", "", str(error)[:200], "xsd", "a table whose XML has an XML Schema 1.0")
            )
            continue
        count = 0
        for sample in compiled.samples:
            if sample.message in codec.mapped and (raw := _written(compiled, name, sample)) is not None:
                why, count = refused(sample.message, raw), count + 1
                spend()
                if why:
                    at = f"samples/{sample.format}/{sample.message}.{sample.name}"
                    findings.append(
                        Finding(at, "", why[:200], "face", f"as {name} writes it, valid by the face of {name}")
                    )
        proved.append(
            f"{name}: its own {'XSD' if codec.media == 'xml' else 'OpenAPI'} takes what it writes of {count} samples"
        )
    return proved


def _written(compiled: CompiledContract, format_name: str, sample: Sample) -> bytes | None:
    """None for a sample that the format cannot express, or that is invalid (reported elsewhere)."""
    codec = compiled.codec(format_name)
    try:
        return codec.write(sample.message, compiled.codec("canonical").read_json(sample.message, sample.canonical))
    except Failure:
        return None


def xml_face(compiled: CompiledContract, format_name: str) -> Callable[[str, bytes], str]:
    """A function that returns why the XSD of the format refuses a message, or ""."""
    files = xsd.xsd_files(compiled, format_name)
    parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)
    parser.resolvers.add(_Memory(files))
    schema = etree.XMLSchema(etree.fromstring(files["schema.xsd"], parser, base_url="memory:/schema.xsd"))

    def valid(message: str, raw: bytes) -> str:
        try:
            schema.assertValid(parse_xml(raw))
        except etree.DocumentInvalid as error:
            return str(error)
        return ""

    return valid


class _Memory(etree.Resolver):
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def resolve(self, url: str, public_id: str, context: Any) -> Any:  # type: ignore[override]
        return self.resolve_string(self._files[url.rpartition("/")[2]], context, base_url=url)


def json_face(compiled: CompiledContract, format_name: str) -> Callable[[str, bytes], str]:
    """A function that returns why the OpenAPI schema of the format refuses a message, or ""."""
    schemas, codec = foreign_definitions(compiled, format_name, _SCHEMAS), compiled.codec(format_name)

    def valid(message: str, raw: bytes) -> str:
        described = {"$ref": _SCHEMAS + message, "components": {"schemas": schemas}}
        try:
            draft4(described, formats=False).validate(codec.parsed(message, raw))
        except jsonschema_rs.ValidationError as error:
            return f"{'/'.join(map(str, error.instance_path))}: {error.kind.name}"
        return ""

    return valid
