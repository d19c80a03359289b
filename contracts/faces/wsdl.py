"""WSDL 1.1 of a contract: SOAP 1.1 over HTTP, document/literal wrapped, faults declared, the schema inlined.

The security headers of docs/wire.md are said in the documentation: WS-SecurityPolicy would add nothing that a client's stack reads.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import quoteattr

from contracts.compiled import CompiledContract
from contracts.faces.xsd import XS, schema_element
from contracts.wire.soap import LGSP
from contracts.wire.xmltext import escape_text

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
TRANSPORT: Final = "http://schemas.xmlsoap.org/soap/http"


def wsdl(compiled: CompiledContract, address: str) -> bytes:
    """`address` is where the service listens, as outsiders see it."""
    contract = compiled.contract
    name = "".join(part.capitalize() for part in contract.id.split("-"))
    operations = contract.operations.values()
    canonical = compiled.codec("canonical")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<wsdl:definitions xmlns:wsdl="{WSDL}" xmlns:soap="{WSDL_SOAP}" xmlns:xs="{XS}" xmlns:lgsp="{LGSP}"'
        f" xmlns:tns={quoteattr(compiled.namespace)} targetNamespace={quoteattr(compiled.namespace)} name={quoteattr(name)}>",
        f"  <wsdl:documentation>{escape_text(contract.title.vi)} / {escape_text(contract.title.en)}. {escape_text(contract.name)}, {contract.version}."
        " WS-Security 1.1: X.509, Timestamp, Body and WS-Addressing headers signed (docs/wire.md).</wsdl:documentation>",
        "  <wsdl:types>",
        schema_element(compiled, "    "),
        *(f"    {line}" for line in _PROBLEM_SCHEMA),
        "  </wsdl:types>",
        '  <wsdl:message name="ProblemMessage">',
        '    <wsdl:part name="problem" element="lgsp:Problem"/>',
        "  </wsdl:message>",
    ]
    for op in operations:
        for suffix, part in (("Request", op.name), ("Answer", f"{op.name}Response")):
            lines += [
                f'  <wsdl:message name="{op.name}{suffix}">',
                f'    <wsdl:part name="parameters" element="tns:{part}"/>',
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
    lines += [
        "  </wsdl:portType>",
        f'  <wsdl:binding name="{name}Binding" type="tns:{name}PortType">',
        f'    <soap:binding style="document" transport="{TRANSPORT}"/>',
    ]
    for op in operations:
        lines += [
            f'    <wsdl:operation name="{op.name}">',
            f'      <soap:operation soapAction={quoteattr(canonical.soap_action(op.name))} style="document"/>',
            '      <wsdl:input><soap:body use="literal"/></wsdl:input>',
            '      <wsdl:output><soap:body use="literal"/></wsdl:output>',
            '      <wsdl:fault name="Problem"><soap:fault name="Problem" use="literal"/></wsdl:fault>',
            "    </wsdl:operation>",
        ]
    lines += [
        "  </wsdl:binding>",
        f'  <wsdl:service name="{name}Service">',
        f'    <wsdl:port name="{name}Port" binding="tns:{name}Binding">',
        f"      <soap:address location={quoteattr(address)}/>",
        "    </wsdl:port>",
        "  </wsdl:service>",
        "</wsdl:definitions>",
        "",
    ]
    return "\n".join(lines).encode("utf-8")


_PROBLEM_SCHEMA: Final = (
    f'<xs:schema xmlns:xs="{XS}" xmlns:lgsp="{LGSP}" targetNamespace="{LGSP}" elementFormDefault="qualified">',
    '  <xs:complexType name="Words"><xs:simpleContent><xs:extension base="xs:string">',
    '    <xs:anyAttribute namespace="http://www.w3.org/XML/1998/namespace" processContents="lax"/>',
    "  </xs:extension></xs:simpleContent></xs:complexType>",
    '  <xs:element name="Problem"><xs:complexType><xs:sequence>',
    '    <xs:element name="Code" type="xs:string"/>',
    '    <xs:element name="Title" type="lgsp:Words" maxOccurs="2"/>',
    '    <xs:element name="Detail" type="lgsp:Words" maxOccurs="2"/>',
    '    <xs:element name="Next" type="lgsp:Words" maxOccurs="2"/>',
    '    <xs:element name="Transfer" type="xs:string" minOccurs="0"/>',
    '    <xs:element name="RetryAfter" type="xs:nonNegativeInteger" minOccurs="0"/>',
    '    <xs:element name="Finding" minOccurs="0" maxOccurs="20"><xs:complexType>',
    *(f'      <xs:attribute name="{name}" type="xs:string" use="required"/>' for name in ("here", "canonical", "got", "rule", "expected")),
    "    </xs:complexType></xs:element>",
    "  </xs:sequence></xs:complexType></xs:element>",
    "</xs:schema>",
)
