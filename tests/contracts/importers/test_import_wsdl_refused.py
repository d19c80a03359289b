"""`lgsp contract import-wsdl` on files that are broken or made to cost much: refused with a code, in bounds, and
nothing is fetched."""

from __future__ import annotations

import pytest

from contracts.base.errors import Theirs
from contracts.importers.source import MAX_FILES
from tests.contracts.importers.wsdlmaking import ANSWER, HEAD, SCHEMA, codes, draft, one, rows, wsdl


def test_nothing_is_fetched_but_a_folder_can_be_named() -> None:
    main = wsdl(
        f'{SCHEMA}<xs:import namespace="urn:u" schemaLocation="http://nowhere.example/xsd?xsd=xsd0"/>{ANSWER}'
        '<xs:element name="Hoi"><xs:complexType><xs:sequence><xs:element name="a" '
        'type="xs:string"/><xs:element ref="u:b"/></xs:sequence>'
        "</xs:complexType></xs:element></xs:schema>"
    )
    without = draft(main)
    assert codes(without) == {"not-loaded", "missing"} and rows(without) == {"a": "t:a"}
    # By the name in the address, or else by the target namespace.
    for name in ("xsd0.xsd", "u.xsd"):
        u = (
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:u"><xs:element '
            'name="b" type="xs:string"/></xs:schema>'
        )
        made = draft(main, extra={name: u})
        assert not made.notes and rows(made) == {"a": "t:a", "b": "u:b"}


@pytest.mark.parametrize(
    "location",
    ["../outside.xsd", "/etc/passwd", "file:///etc/passwd", "\\\\host\\share.xsd", "a/../../b.xsd", "%2e%2e/x.xsd"],
)
def test_no_location_leads_out_of_the_folder(location: str) -> None:
    schemas = (
        f'{SCHEMA}<xs:include schemaLocation="{location}"/>'
        + one("<xs:sequence><xs:element name='a' type='xs:string'/></xs:sequence>")[len(SCHEMA) :]
    )
    made = draft(wsdl(schemas))
    assert codes(made) == {"not-loaded"}


XXE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY d SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("main", "others", "code"),
    [
        (XXE + HEAD + "&d;</wsdl:definitions>", {}, "import.unreadable"),
        (HEAD, {}, "import.unreadable"),
        ("", {}, "import.unreadable"),
        ('<description xmlns="http://www.w3.org/ns/wsdl"/>', {}, "import.unreadable"),
        (HEAD + "</wsdl:definitions>", {}, "import.nothing"),
        (
            wsdl(f'{SCHEMA}<xs:include schemaLocation="x.xsd"/></xs:schema>'),
            {"x.xsd": XXE + "<a>&d;</a>"},
            "import.unreadable",
        ),
        (wsdl("<x>" * 80 + "</x>" * 80), {}, "import.unreadable"),
        (
            wsdl(
                SCHEMA
                + "".join(f'<xs:include schemaLocation="{i}.xsd"/>' for i in range(MAX_FILES + 1))
                + "</xs:schema>"
            ),
            {f"{i}.xsd": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>' for i in range(MAX_FILES + 1)},
            "import.too-large",
        ),
    ],
    ids=["entity", "cut off", "empty", "wsdl 2.0", "no operation", "entity in a part", "deep", "many files"],
)
def test_refused(main: str, others: dict[str, str], code: str) -> None:
    with pytest.raises(Theirs) as caught:
        draft(main, others)
    assert caught.value.code == code


LAST = '<xs:complexType name="T12"><xs:sequence><xs:element name="x" type="xs:string"/></xs:sequence></xs:complexType>'


@pytest.mark.parametrize(
    ("top", "step", "last"),
    [
        (
            '<xs:element name="e" type="t:T0"/>',
            '<xs:complexType name="T{}"><xs:sequence>{}</xs:sequence></xs:complexType>',
            LAST,
        ),
        ('<xs:group ref="t:G0"/>', '<xs:group name="G{}"><xs:sequence>{}</xs:sequence></xs:group>', ""),
    ],
    ids=["types", "groups"],
)
def test_a_schema_that_explodes_is_bounded(top: str, step: str, last: str) -> None:
    """Each holds the next one ten times: 10^12 places, were they all written out."""
    held = '<xs:element name="e{1}" type="t:T{0}"/>' if last else '<xs:group ref="t:G{0}"/>'
    steps = "".join(step.format(i, "".join(held.format(i + 1, j) for j in range(10))) for i in range(12))
    made = draft(wsdl(one(f'<xs:sequence><xs:element name="a" type="xs:string"/>{top}</xs:sequence>', steps + last)))
    assert "too-large" in codes(made)
