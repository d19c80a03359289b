"""WSDL 1.1 of a contract: SOAP 1.1 and 1.2 over HTTP, document/literal, faults, inline schemas.

The canonical face and the face of a foreign XML format differ only in the Body elements and their schemas. The
documentation states the security headers of docs/wire.md and the encryption, because client stacks do not read
WS-SecurityPolicy. For programs, `lgsp:Protection` states the same; every stack ignores it.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import quoteattr

from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign import xsd
from contracts.faces.xsd import XS, schema_element
from contracts.wire.soap import LGSP
from contracts.wire.xmltext import escape_text

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
TRANSPORT: Final = "http://schemas.xmlsoap.org/soap/http"
# Prefix, namespace and the suffix of port and binding names. SOAP 1.1 is first: clients take it by default.
_BINDINGS: Final = (
    ("soap", "http://schemas.xmlsoap.org/wsdl/soap/", ""),
    ("soap12", "http://schemas.xmlsoap.org/wsdl/soap12/", "12"),
)
_PROTECTION: Final = {
    "signed": "",
    "encrypted": "; then the content of the Body encrypted, both ways: aes256-gcm, rsa-oaep with SHA-256 and "
    "MGF1-SHA-256",
}


def wsdl(compiled: CompiledContract, address: str, format_name: str = "canonical") -> bytes:
    """`address` is the public address of the service, the same for every format."""
    contract = compiled.contract
    codec = compiled.codec(format_name)
    name = "".join(part.capitalize() for part in contract.id.split("-"))
    space = compiled.namespace if format_name == "canonical" else f"{compiled.namespace}:{format_name}"
    answers = {op: root for root, (op, _) in codec.soap_answer_roots.items()}
    # Of two operations with the same Body element, the door and the WSDL use the first, unless the content tells them.
    bodies = {
        op: (root, answers.get(op) or _root_of_answer(compiled, format_name, op))
        for op, root in codec.soap_bodies().items()
    }
    operations = [op for op in contract.operations.values() if op.name in bodies]
    spaces = dict.fromkeys(root.rpartition("}")[0].lstrip("{") for pair in bodies.values() for root in pair)
    prefixes = {each: "tns" if each == space else f"m{number}" for number, each in enumerate(filter(None, spaces))}
    declared = {prefix: uri for prefix, uri, _ in _BINDINGS} | {"xs": XS, "lgsp": LGSP, "tns": space}
    declared |= {prefix: uri for uri, prefix in prefixes.items()}
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<wsdl:definitions xmlns:wsdl="{WSDL}"'
        + "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in declared.items())
        + f" targetNamespace={quoteattr(space)} name={quoteattr(name)}>",
        f"  <wsdl:documentation>{escape_text(contract.title.vi)} / {escape_text(contract.title.en)}. "
        f"{escape_text(contract.name)}, {contract.version}. "
        "WS-Security 1.1: X.509, Timestamp, Body and WS-Addressing headers signed"
        f"{_PROTECTION[contract.protection]} (docs/wire.md)."
        f"<lgsp:Protection>{contract.protection}</lgsp:Protection></wsdl:documentation>",
        "  <wsdl:types>",
    ]
    if format_name == "canonical" or codec.mapped < {
        message for op in operations for message in (op.request, op.answer)
    }:
        lines.append(schema_element(compiled, "    "))
    if format_name != "canonical":
        lines += [f"    {line}" for schema in xsd.schemas(compiled, format_name) for line in schema.lines()]
    lines += [
        *(f"    {line}" for line in PROBLEM_SCHEMA),
        "  </wsdl:types>",
        '  <wsdl:message name="ProblemMessage">',
        '    <wsdl:part name="problem" element="lgsp:Problem"/>',
        "  </wsdl:message>",
    ]
    for op in operations:
        for suffix, root in zip(("Request", "Answer"), bodies[op.name], strict=True):
            uri, _, local = root.lstrip("{").rpartition("}")
            lines += [
                f'  <wsdl:message name="{op.name}{suffix}">',
                f'    <wsdl:part name="parameters" element="{prefixes[uri] + ":" if uri else ""}{local}"/>',
                "  </wsdl:message>",
            ]
    lines.append(f'  <wsdl:portType name="{name}PortType">')
    for op in operations:
        lines += [
            f'    <wsdl:operation name="{op.name}">',
            f"      <wsdl:documentation>{escape_text(op.title.vi)} / {escape_text(op.title.en)}</wsdl:documentation>",
            f'      <wsdl:input message="tns:{op.name}Request"/>',
            f'      <wsdl:output message="tns:{op.name}Answer"/>',
            '      <wsdl:fault name="Problem" message="tns:ProblemMessage"/>',
            "    </wsdl:operation>",
        ]
    lines.append("  </wsdl:portType>")
    for soap, _, end in _BINDINGS:
        lines += [
            f'  <wsdl:binding name="{name}Binding{end}" type="tns:{name}PortType">',
            f'    <{soap}:binding style="document" transport="{TRANSPORT}"/>',
        ]
        for op in operations:
            lines += [
                f'    <wsdl:operation name="{op.name}">',
                f'      <{soap}:operation soapAction={quoteattr(codec.soap_action(op.name))} style="document"/>',
                f'      <wsdl:input><{soap}:body use="literal"/></wsdl:input>',
                f'      <wsdl:output><{soap}:body use="literal"/></wsdl:output>',
                f'      <wsdl:fault name="Problem"><{soap}:fault name="Problem" use="literal"/></wsdl:fault>',
                "    </wsdl:operation>",
            ]
        lines.append("  </wsdl:binding>")
    lines.append(f'  <wsdl:service name="{name}Service">')
    for soap, _, end in _BINDINGS:
        lines += [
            f'    <wsdl:port name="{name}Port{end}" binding="tns:{name}Binding{end}">',
            f"      <{soap}:address location={quoteattr(address)}/>",
            "    </wsdl:port>",
        ]
    lines += ["  </wsdl:service>", "</wsdl:definitions>", ""]
    return "\n".join(lines).encode("utf-8")


def _root_of_answer(compiled: CompiledContract, format_name: str, operation: str) -> str:
    """The root of an answer that another operation has too."""
    plan = compiled.codec(format_name).plans[compiled.contract.operations[operation].answer]
    return plan.root.name


PROBLEM_SCHEMA: Final = (
    f'<xs:schema xmlns:xs="{XS}" xmlns:lgsp="{LGSP}" targetNamespace="{LGSP}" elementFormDefault="qualified">',
    '  <xs:complexType name="Words"><xs:simpleContent><xs:extension base="xs:string">',
    '    <xs:anyAttribute namespace="http://www.w3.org/XML/1998/namespace" processContents="lax"/>',
    "  </xs:extension></xs:simpleContent></xs:complexType>",
    '  <xs:element name="Problem"><xs:complexType><xs:sequence>',
    '    <xs:element name="Code" type="xs:string"/>',
    '    <xs:element name="Branch" type="xs:string" minOccurs="0"/>',
    '    <xs:element name="Title" type="lgsp:Words" maxOccurs="2"/>',
    '    <xs:element name="Detail" type="lgsp:Words" maxOccurs="2"/>',
    '    <xs:element name="Next" type="lgsp:Words" maxOccurs="2"/>',
    '    <xs:element name="Transfer" type="xs:string" minOccurs="0"/>',
    '    <xs:element name="RetryAfter" type="xs:nonNegativeInteger" minOccurs="0"/>',
    '    <xs:element name="Finding" minOccurs="0" maxOccurs="20"><xs:complexType>',
    *(
        f'      <xs:attribute name="{name}" type="xs:string" use="required"/>'
        for name in ("here", "canonical", "got", "rule", "expected")
    ),
    "    </xs:complexType></xs:element>",
    '    <xs:element name="SignatureBase" type="xs:string" minOccurs="0"/>',
    "  </xs:sequence></xs:complexType></xs:element>",
    "</xs:schema>",
)
