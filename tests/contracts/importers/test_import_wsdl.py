"""Foreign WSDL files, each with traits that real services have: what is taken of them, what is named as not taken, what
is refused."""

from __future__ import annotations

import pytest

from contracts.base.errors import Theirs
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import MARK, marks
from contracts.importers.formats.wsdl import import_wsdl
from tests.contracts.importers.wsdlmaking import (
    ANSWER,
    HEAD,
    SCHEMA,
    codes,
    compiled,
    draft,
    files,
    one,
    read,
    rows,
    schema,
    wsdl,
)

DOSSIER = wsdl(
    one(
        '<xs:sequence><xs:element name="MaHoSoTTHC" type="t:Ma"/><xs:element name="SoLuong" '
        'type="xs:int" minOccurs="0"/>'
        '<xs:element name="NguoiNop" minOccurs="0"><xs:complexType><xs:sequence><xs:element '
        'name="Họ-Tên" type="xs:string"/>'
        '<xs:element name="Tel" type="xs:string" minOccurs="0" '
        'maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>'
        "</xs:sequence>",
        '<xs:simpleType name="Ma"><xs:restriction base="xs:string"><xs:pattern '
        'value="\\d{3}-[A-Z]{2}"/></xs:restriction></xs:simpleType>',
    )
)


def test_a_wrapped_service_becomes_a_folder_that_holds_but_for_its_marks() -> None:
    made = draft(DOSSIER)
    assert made.id == "ho-chua" and not made.notes
    assert rows(made) == {
        "ma_ho_so_tthc": "t:MaHoSoTTHC",
        "so_luong": "t:SoLuong",
        "nguoi_nop.ho_ten": "t:NguoiNop/t:Họ-Tên",
        "nguoi_nop.tel[]": "t:NguoiNop/t:Tel[]",
    }
    assert schema(made, "Hoi")["properties"]["ma_ho_so_tthc"] == {"type": "string", "pattern": "^[0-9]{3}-[A-Z]{2}$"}
    assert schema(made, "Hoi")["properties"]["so_luong"] == {
        "type": "integer",
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
    }
    assert schema(made, "Hoi")["required"] == ["ma_ho_so_tthc"]
    assert schema(made, "NguoiNop")["required"] == ["ho_ten"]
    value = read(
        made,
        '<Hoi xmlns="urn:t"><MaHoSoTTHC>001-AB</MaHoSoTTHC><NguoiNop><Họ-Tên>Lý</Họ-Tên><Tel>1</Tel></NguoiNop></Hoi>',
    )
    assert value == {"ma_ho_so_tthc": "001-AB", "nguoi_nop": {"ho_ten": "Lý", "tel": ["1"]}}
    assert compiled(made).codec("ho-chua-xml").soap_action("hoi") == "urn:t:Hoi"
    left = marks(Bundle.of(made.files))
    assert {each.got for each in left} == {MARK} and {each.here.split(":")[0] for each in left} >= {
        "contract.yaml",
        "schema.json",
    }
    assert made.files == draft(DOSSIER).files, "the same bytes each time"


def test_extensions_attributes_groups_and_simple_content() -> None:
    made = draft(
        wsdl(
            one(
                '<xs:complexContent><xs:extension base="t:Goc"><xs:sequence><xs:group ref="t:Nhom"/>'
                '<xs:element name="tien" type="t:Tien" minOccurs="0"/></xs:sequence><xs:attribute '
                'name="ban" type="xs:string" use="required" '
                'fixed="2"/></xs:extension></xs:complexContent>',
                '<xs:complexType name="Goc"><xs:sequence><xs:element name="ma" '
                'type="xs:string"/></xs:sequence><xs:attributeGroup ref="t:Chung"/>'
                '</xs:complexType><xs:attributeGroup name="Chung"><xs:attribute '
                'ref="xml:lang"/><xs:attribute name="nguon" type="xs:token"/></xs:attributeGroup>'
                '<xs:group name="Nhom"><xs:sequence><xs:element '
                'ref="t:ghi"/></xs:sequence></xs:group><xs:element name="ghi" type="xs:string"/>'
                '<xs:complexType name="Tien"><xs:simpleContent><xs:extension '
                'base="xs:decimal"><xs:attribute name="loai" type="xs:string"/>'
                "</xs:extension></xs:simpleContent></xs:complexType>",
            )
        )
    )
    assert not made.notes
    assert rows(made) == {
        "lang": "@xml:lang",
        "nguon": "@nguon",
        "ma": "t:ma",
        "=": "@ban",
        "ghi": "t:ghi",
        "tien.value": "t:tien/text()",
        "tien.loai": "t:tien/@loai",
    }
    value = read(
        made, '<Hoi xmlns="urn:t" ban="2" xml:lang="vi" nguon="a"><ma>1</ma><ghi/><tien loai="VND">1.50</tien></Hoi>'
    )
    assert (
        value["tien"]["loai"] == "VND"
        and str(value["tien"]["value"]) == "1.50"
        and value["ghi"] == ""
        and value["lang"] == "vi"
    )


def test_a_fixed_attribute_within_a_list_is_a_field_of_one_value() -> None:
    """A row without a canonical field has one place in a message, and the attribute stands once an item."""
    made = draft(
        wsdl(
            one(
                '<xs:sequence><xs:element name="muc" type="t:Muc" maxOccurs="unbounded"/></xs:sequence>',
                '<xs:complexType name="Muc"><xs:attribute name="ban" type="xs:string" use="required" fixed="2"/>'
                '<xs:attribute name="so" type="xs:int" use="required" fixed="7"/></xs:complexType>',
            )
        )
    )
    assert rows(made) == {"muc[].ban": "t:muc[]/@ban", "muc[].so": "t:muc[]/@so"}
    value = read(made, '<Hoi xmlns="urn:t"><muc ban="2" so="7"/><muc ban="2" so="7"/></Hoi>')
    assert value == {"muc": [{"ban": "2", "so": 7}] * 2}


def test_a_list_within_its_own_items_goes_as_deep_as_a_message() -> None:
    made = draft(
        wsdl(
            one(
                '<xs:sequence><xs:element name="muc" type="t:Muc"/></xs:sequence>',
                '<xs:complexType name="Muc"><xs:sequence><xs:element name="ten" type="xs:string"/>'
                '<xs:element name="con" type="t:Muc" minOccurs="0" '
                'maxOccurs="unbounded"/></xs:sequence></xs:complexType>',
            )
        )
    )
    assert not made.notes
    assert rows(made) == {
        "muc.ten": "t:muc/t:ten",
        "muc.con[].ten": "t:muc/t:con[]/t:ten",
        "muc.con[].con[]": "t:muc/t:con[]/t:con[]",
    }
    deep = "<con><ten>2</ten><con><ten>3</ten><con><ten>4</ten></con></con><con><ten>5</ten></con></con>"
    assert read(made, f'<Hoi xmlns="urn:t"><muc><ten>1</ten>{deep}</muc></Hoi>')["muc"]["con"][0]["con"][0]["con"] == [
        {"ten": "4"}
    ]


def test_a_list_within_its_own_items_that_comes_first_or_alone() -> None:
    tree = (
        '<xs:complexType name="Muc"><xs:sequence><xs:element name="con" type="t:Muc" minOccurs="0" '
        'maxOccurs="9"/>{}</xs:sequence></xs:complexType>'
    )
    body = (
        '<xs:sequence><xs:element name="a" type="xs:string"/><xs:element name="muc" type="t:Muc" '
        'minOccurs="0" maxOccurs="unbounded"/></xs:sequence>'
    )
    made = draft(wsdl(one(body, tree.format('<xs:element name="ten" type="xs:string"/>'))))
    assert codes(made) == {"order"} and list(rows(made)) == ["a", "muc[].ten", "muc[].con[]"]
    assert read(made, '<Hoi xmlns="urn:t"><a/><muc><con><ten>2</ten></con><ten>1</ten></muc></Hoi>')["muc"] == [
        {"ten": "1", "con": [{"ten": "2"}]}
    ]
    assert rows(draft(wsdl(one(body, tree.format(""))))) == {"a": "t:a"}


def test_a_single_type_within_itself_is_written_out_to_a_depth() -> None:
    made = draft(
        wsdl(
            one(
                '<xs:sequence><xs:element name="muc" type="t:Muc"/></xs:sequence>',
                '<xs:complexType name="Muc"><xs:sequence><xs:element name="ten" type="xs:string"/>'
                '<xs:element name="con" type="t:Muc" minOccurs="0"/></xs:sequence></xs:complexType>',
            )
        )
    )
    assert codes(made) == {"recursion"}
    assert rows(made) == {"muc.ten": "t:muc/t:ten", "muc.con.ten": "t:muc/t:con/t:ten"}


def test_what_a_contract_cannot_say_is_named_with_its_place() -> None:
    made = draft(
        wsdl(
            one(
                '<xs:sequence><xs:element name="a" type="xs:string"/><xs:any minOccurs="0"/><xs:element name="gi"/>'
                '<xs:choice maxOccurs="unbounded"><xs:element name="b" type="xs:double"/><xs:element '
                'name="c" type="t:L"/></xs:choice>'
                '<xs:element name="d" type="xs:string" nillable="true"/><xs:element '
                'name="e"><xs:simpleType><xs:restriction base="xs:string">'
                "<xs:pattern "
                'value=".*x"/></xs:restriction></xs:simpleType></xs:element></xs:sequence><xs:anyAttribute/>',
                '<xs:simpleType name="L"><xs:list itemType="xs:int"/></xs:simpleType>',
            )
        )
    )
    assert codes(made) == {
        "any",
        "any-type",
        "any-attribute",
        "choice",
        "repeated-group",
        "float",
        "list",
        "nillable",
        "pattern",
    }
    (choice,) = [note for note in made.notes if note.code == "choice"]
    assert choice.place.startswith("main.wsdl:") and choice.place.endswith("/Hoi") and choice.detail == "b, c"
    head = made.files["systems/ho-chua-xml.yaml"].decode().split("format:")[0]
    assert all(note.say("vi").split("{")[0][:20] in head for note in made.notes if not note.detail)
    # What may hold anything is read over; a place that is not known at all is refused.
    assert rows(made)["d"] == "t:d"
    nil = '<d xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'
    assert read(made, f'<Hoi xmlns="urn:t"><a>1</a><gi/>{nil}<e>x</e></Hoi>') == {
        "a": "1",
        "d": {"absent": "unknown"},
        "e": "x",
    }
    assert read(made, '<Hoi xmlns="urn:t"><a>1</a><gi><x xmlns="urn:z"/></gi><b>1</b><e>x</e></Hoi>') == {
        "a": "1",
        "b": [1],
        "e": "x",
    }


def test_schemas_in_several_files_and_namespaces() -> None:
    main = wsdl(
        '<xs:schema targetNamespace="urn:t" elementFormDefault="qualified"><xs:include schemaLocation="xsd/chung.xsd"/>'
        f'<xs:import namespace="urn:u" schemaLocation="./xsd/u.xsd"/>{ANSWER}'
        '<xs:element name="Hoi"><xs:complexType><xs:sequence><xs:element name="k" type="Ma"/><xs:element '
        'ref="u:lien-he"/>'
        "</xs:sequence></xs:complexType></xs:element></xs:schema>"
    )
    others = {
        # no namespace of its own: that of the schema which includes it; and it includes itself through another
        "xsd/chung.xsd": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include '
        'schemaLocation="../xsd/vong.xsd"/>'
        '<xs:simpleType name="Ma"><xs:restriction base="xs:string"><xs:maxLength '
        'value="5"/></xs:restriction></xs:simpleType></xs:schema>',
        "xsd/vong.xsd": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include '
        'schemaLocation="chung.xsd"/></xs:schema>',
        "xsd/u.xsd": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:u">'
        '<xs:element name="lien-he"><xs:complexType><xs:all><xs:element name="so" '
        'type="xs:string"/></xs:all></xs:complexType></xs:element></xs:schema>',
    }
    made = draft(main, others)
    assert not made.notes
    assert rows(made) == {"k": "t:k", "lien_he.so": "u:lien-he/so"}
    assert schema(made, "Hoi")["properties"]["k"] == {"type": "string", "maxLength": 5}
    assert read(
        made, '<t:Hoi xmlns:t="urn:t"><t:k>a</t:k><u:lien-he xmlns:u="urn:u"><so>1</so></u:lien-he></t:Hoi>'
    ) == {
        "k": "a",
        "lien_he": {"so": "1"},
    }


def test_a_wsdl_in_parts() -> None:
    main = (
        f'{HEAD}<wsdl:import namespace="urn:t" location="phan/kieu.wsdl"/>'
        '<wsdl:binding name="B" type="t:P"><soap:binding transport="x"/><wsdl:operation '
        'name="Hoi"><soap:operation soapAction=""/>'
        '<wsdl:input><soap:body use="literal"/></wsdl:input></wsdl:operation></wsdl:binding></wsdl:definitions>'
    )
    parts = wsdl(
        one('<xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence>'), binding="<wsdl:documentation/>"
    )
    made = draft(
        main,
        {
            "phan/kieu.wsdl": parts.replace(
                "<wsdl:types>", '<wsdl:import namespace="urn:t" location="../main.wsdl"/><wsdl:types>'
            )
        },
    )
    assert codes(made) == {"empty-action"} and rows(made) == {"a": "t:a"}


RPC = (
    '<wsdl:binding name="B" type="t:P"><soap:binding style="rpc" transport="x"/><wsdl:operation '
    'name="Hoi"><soap:operation soapAction="h"/>'
    '<wsdl:input><soap:body use="USE" namespace="urn:rpc"/></wsdl:input><wsdl:output><soap:body '
    'use="USE" namespace="urn:rpc"/></wsdl:output>'
    "</wsdl:operation></wsdl:binding>"
)
ARRAY = (
    f'{SCHEMA}<xs:import namespace="http://schemas.xmlsoap.org/soap/encoding/"/>{ANSWER}'
    '<xs:complexType name="Ds"><xs:complexContent><xs:restriction base="enc:Array"><xs:attribute ref="enc:arrayType" '
    'wsdl:arrayType="t:Muc[]"/></xs:restriction></xs:complexContent></xs:complexType>'
    '<xs:complexType name="Muc"><xs:all><xs:element name="so" type="xs:int"/></xs:all></xs:complexType></xs:schema>'
)


def test_rpc_style() -> None:
    parts = '<wsdl:part name="ma" type="xs:string"/><wsdl:part name="ds" type="t:Ds"/>'
    made = draft(wsdl(ARRAY, binding=RPC.replace("USE", "literal"), parts=parts))
    assert codes(made) == set()
    assert rows(made) == {"ma": "ma", "ds.item[].so": "ds/item[]/t:so"}
    body = '<r:Hoi xmlns:r="urn:rpc"><ma>1</ma><ds><item><t:so xmlns:t="urn:t">7</t:so></item></ds></r:Hoi>'
    assert read(made, body) == {"ma": "1", "ds": {"item": [{"so": 7}]}}
    assert codes(draft(wsdl(ARRAY, binding=RPC.replace("USE", "encoded"), parts=parts))) == {"encoded"}


def test_rpc_style_without_a_namespace() -> None:
    """WSDL 1.1, section 3.5: the wrapper has the namespace of soap:body, so none."""
    parts = '<wsdl:part name="ma" type="xs:string"/>'
    binding = RPC.replace("USE", "literal").replace(' namespace="urn:rpc"', "")
    made = draft(wsdl(ARRAY, binding=binding, parts=parts))
    assert codes(made) == {"rpc-namespace"}
    assert read(made, "<Hoi><ma>1</ma></Hoi>") == {"ma": "1"}


@pytest.mark.parametrize("written", ['type="t:P"', 'message="t:In"'])
def test_a_name_without_a_prefix_is_that_of_the_document(written: str) -> None:
    text = wsdl(ARRAY, binding=RPC.replace("USE", "literal"), parts='<wsdl:part name="ma" type="xs:string"/>')
    assert written in text
    bare = text.replace(written, written.replace("t:", ""))
    made = draft(bare.replace("<wsdl:definitions", '<wsdl:definitions xmlns="http://schemas.xmlsoap.org/wsdl/"', 1))
    assert codes(made) == {"unprefixed"} and rows(made) == {"ma": "ma"}


def test_bindings_headers_and_attachments() -> None:
    schemas = one(
        '<xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence>',
        '<xs:element name="Dau" type="xs:string"/>',
    )
    twelve = (
        '<wsdl:binding name="B12" type="t:P"><soap12:binding transport="x"/><wsdl:operation '
        'name="Hoi"><soap12:operation soapAction="h12"/>'
        '<wsdl:input><mime:multipartRelated><mime:part><soap12:header message="t:H" part="h" '
        'use="literal"/><soap12:body use="literal"/></mime:part>'
        '<mime:part><mime:content part="x" '
        'type="image/png"/></mime:part></mime:multipartRelated></wsdl:input></wsdl:operation></wsdl:binding>'
    )
    web = '<wsdl:binding name="Get" type="t:P"><http:binding verb="GET"/><wsdl:operation name="Hoi"/></wsdl:binding>'
    header = '<wsdl:message name="H"><wsdl:part name="h" element="t:Dau"/></wsdl:message>'
    made = draft(wsdl(schemas, binding=twelve + web, extra=header))
    assert codes(made) == {"soap12", "header", "attachment", "binding"}
    both = draft(wsdl(schemas, extra=twelve + web + header))
    assert codes(both) == {"binding"} and compiled(both).codec("ho-chua-xml").soap_action("hoi") == "urn:t:Hoi"


def test_a_root_of_text_alone_or_with_attributes() -> None:
    made = draft(wsdl(f'{SCHEMA}<xs:element name="Hoi" type="xs:base64Binary"/>{ANSWER}</xs:schema>'))
    assert not made.notes and rows(made) == {"value": "text()"}
    assert schema(made, "Hoi")["properties"]["value"] == {"type": "string", "contentEncoding": "base64"}
    assert read(made, '<Hoi xmlns="urn:t">eA==</Hoi>') == {"value": "eA=="}
    made = draft(
        wsdl(
            one(
                '<xs:simpleContent><xs:extension base="xs:string"><xs:attribute name="a" '
                'type="xs:date"/></xs:extension></xs:simpleContent>'
            )
        )
    )
    assert not made.notes and rows(made) == {"value": "text()", "a": "@a"}
    assert read(made, '<Hoi xmlns="urn:t" a="2026-01-02+07:00"/>') == {"value": "", "a": "2026-01-02"}


def test_only_the_operations_asked_for() -> None:
    main = wsdl(one('<xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence>'))
    assert [call.name for call in import_wsdl(files(main), ["Hoi"]).calls] == ["Hoi"]
    with pytest.raises(Theirs) as caught:
        import_wsdl(files(main), ["Khac"])
    assert caught.value.code == "import.nothing" and "Khac ∉ Hoi" in caught.value.what("vi")
