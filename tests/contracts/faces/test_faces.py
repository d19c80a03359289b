"""The generated faces: byte-stable, valid for the tools that read them, and saying what the decoder enforces."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import zeep
from lxml import etree

from contracts.base.phrases import vietnamese
from contracts.compiled.contract import compile_bundle
from contracts.faces import openapi, wsdl, xsd
from contracts.faces.codes import codes_json
from contracts.faces.examples import valid
from contracts.faces.foreign import xsd as foreignxsd
from contracts.faces.foreign.differences import DIFFERENCES
from contracts.faces.pages import calls, page
from contracts.faces.pages.first_calls import first_calls
from contracts.faces.schema import schema_json
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.jsontext import read_json
from contracts.wire.soap import V11, V12, parse_xml
from gateway.doors.programs import programs

SHORT = {"curl", "Node", "Java", ".NET"}
CONTRACTS = [f"{folder.parent.name}/{folder.name}" for folder in catalogue_folders()]


def test_faces_are_byte_stable(catalogue: Any) -> None:
    for folder in catalogue_folders():
        again = compile_bundle(Bundle.from_folder(folder))
        first = catalogue[again.contract.name]
        assert xsd.xsd(first) == xsd.xsd(again) and wsdl.wsdl(first, "https://x") == wsdl.wsdl(again, "https://x")
        assert json.dumps(openapi.openapi(first, "https://x")) == json.dumps(openapi.openapi(again, "https://x"))
        for name, codec in first.formats.items():
            if codec.media == "xml":
                assert wsdl.wsdl(first, "https://x", name) == wsdl.wsdl(again, "https://x", name)
                assert foreignxsd.xsd_files(first, name) == foreignxsd.xsd_files(again, name)
            elif codec.media == "json":
                assert json.dumps(openapi.openapi(first, "https://x", name)) == json.dumps(
                    openapi.openapi(again, "https://x", name)
                )
        assert schema_json(first) == schema_json(again) and page.page(first, "vi", "https://x") == page.page(
            again, "vi", "https://x"
        )


@pytest.mark.parametrize("name", CONTRACTS)
def test_zeep_loads_the_wsdl_and_makes_a_message_that_we_read(name: str, catalogue: Any, tmp_path: Path) -> None:
    compiled = catalogue[name]
    file = tmp_path / "x.wsdl"
    file.write_bytes(wsdl.wsdl(compiled, f"https://cong.example/soap/{name}"))
    client = zeep.Client(str(file))
    protection = etree.fromstring(file.read_bytes()).findtext("{*}documentation/{urn:lgsp:wire:1}Protection")
    assert protection == compiled.contract.protection
    ((service, ports),) = ((each, each.ports) for each in client.wsdl.services.values())
    assert {port.binding_options["address"] for port in ports.values()} == {f"https://cong.example/soap/{name}"}
    assert [type(port.binding).__name__ for port in ports.values()] == ["Soap11Binding", "Soap12Binding"]
    binding = next(iter(client.wsdl.bindings.values()))
    for op in compiled.contract.operations.values():
        assert list(binding.get(op.name).faults) == ["Problem"]
        value = valid(compiled, op.request)["full"]
        for port, version in zip(ports, (V11, V12), strict=True):
            arguments = calls.as_elements(compiled.messages[op.request], value)
            element = client.create_message(client.bind(service.name, port), op.name, **arguments)
            assert element.tag == version.envelope
            body = element.find(version.body)
            assert compiled.codec("canonical").read_xml(op.request, parse_xml(etree.tostring(body[0]))) == value


@pytest.mark.parametrize("name", CONTRACTS)
def test_samples_are_valid_by_the_xsd_and_the_served_schema(name: str, catalogue: Any) -> None:
    compiled = catalogue[name]
    schema, served = etree.XMLSchema(etree.fromstring(xsd.xsd(compiled))), json.loads(schema_json(compiled))
    for sample in compiled.samples:
        value = compiled.codec("canonical").read_json(sample.message, sample.canonical)
        schema.assertValid(parse_xml(compiled.codec("canonical").write_xml(sample.message, value)))
        one = jsonschema_rs.Draft202012Validator({**served, "$ref": f"#/$defs/{sample.message}"}, validate_formats=True)
        assert one.is_valid(value)
        for wrapper in [op.name for op in compiled.contract.operations.values() if op.request == sample.message]:
            schema.assertValid(parse_xml(compiled.codec("canonical").write_xml(sample.message, value, wrapper)))


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_openapi_documents_what_the_door_answers(name: str, catalogue: Any) -> None:
    compiled = catalogue[name]
    document = openapi.openapi(compiled, "https://cong.example/")
    assert document["openapi"] == "3.0.3" and document["servers"] == [{"url": f"https://cong.example/{name}"}]
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
    for op in compiled.contract.operations.values():
        described = document["paths"][op.path][op.method.lower()]
        assert described["security"] == [{"boundToken": []}]
        assert {"200", "400", "401", "403", "404", "405", "406", "409", "413", "422", "429", "500", "503"} <= set(
            described["responses"]
        )
        headers = {each["name"] for each in described["parameters"] if each["in"] == "header"}
        assert ("Idempotency-Key" in headers) is (op.method == "POST") and {"Signature", "Signature-Input"} <= headers
        if op.method == "GET":
            assert [each["name"] for each in described["parameters"] if each["in"] == "query"] == [
                f.name for f in compiled.messages[op.request].fields
            ]
        else:
            content = described["requestBody"]["content"]
            if (
                compiled.contract.protection == "encrypted"
            ):  # what is signed in the body, and in no answer anything in clear but problems
                assert list(content) == ["application/jose"] == list(described["responses"]["200"]["content"])
                content = content["application/jose"]["x-lgsp-content"]
                assert set(document["components"]["responses"]["Problem400"]["content"]) == {
                    "application/jose",
                    "application/problem+json",
                }
            assert content["application/json"]["examples"]


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_code_of_a_contract_has_its_words(name: str, catalogue: Any) -> None:
    compiled = catalogue[name]
    tables = json.loads(codes_json(compiled))
    assert {table: [row["code"] for row in rows] for table, rows in tables.items()} == {
        table: list(each.codes) for table, each in compiled.tables.items()
    }
    assert all(row["vi"] and row["en"] for rows in tables.values() for row in rows)


def test_absence_is_said_in_every_face(catalogue: Any) -> None:
    compiled = catalogue["indicator/v1"]
    text = xsd.xsd(compiled).decode()
    assert '<xs:element name="value" nillable="true">' in text and 'type="tns:ResponsibleOrAbsent"' in text
    value = openapi.openapi(compiled, "")["components"]["schemas"]["IndicatorValue"]["properties"]["value"]
    assert value["oneOf"] == [{"type": "number"}, {"$ref": "#/components/schemas/Absent"}]


def test_personal_data_is_marked_in_every_face(catalogue: Any) -> None:
    compiled = catalogue["reference-query/v1"]
    served = json.loads(schema_json(compiled))["$defs"]
    described = openapi.openapi(compiled, "")["components"]["schemas"]
    for schemas in (served, described):
        citizen = schemas["Citizen"]["properties"]
        assert citizen["ethnicity"]["x-personal"] == "sensitive" and citizen["fullName"]["x-personal"] == "basic"
        assert schemas["CitizenAnswer"]["properties"]["citizen"]["x-personal"] == "basic"
        assert "x-personal" not in schemas["Enterprise"]["properties"]["taxCode"], "marked as none"
    jsonschema_rs.validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": served})
    for language, words in (
        ("vi", ("dữ liệu cá nhân cơ bản", "dữ liệu cá nhân nhạy cảm")),
        ("en", ("basic personal data", "sensitive personal data")),
    ):
        assert all(each in page.page(compiled, language, "https://x") for each in words)  # type: ignore[arg-type]


def test_the_page_escapes_what_a_contract_brings() -> None:
    files = dict(
        Bundle.from_folder(next(each for each in catalogue_folders() if each.parent.name == "indicator")).files
    )
    files["contract.yaml"] = files["contract.yaml"].replace(
        "Chỉ tiêu kinh tế - xã hội".encode(), b"<script>alert(1)</script>"
    )
    files["schema.json"] = files["schema.json"].replace("Mã chỉ tiêu".encode(), b"<img src=x>")
    compiled = compile_bundle(Bundle.of(files))
    for language in ("vi", "en"):
        made = page.page(compiled, language, "https://x")
        assert "<script" not in made and "<img" not in made
    etree.fromstring(wsdl.wsdl(compiled, 'https://x/?a="&b=<'))
    etree.fromstring(wsdl.wsdl(compiled, 'https://x/?a="&b=<', "sdmx-ml"))
    assert "Thao tác" in page.page(compiled, "vi", "https://x") and "Operations" in page.page(
        compiled, "en", "https://x"
    )


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_page_says_all_there_is(name: str, catalogue: Any) -> None:
    compiled = catalogue[name]
    made = page.page(compiled, "vi", "https://cong.example")
    etree.HTML(made)
    text = html.unescape(made)
    for table in compiled.tables.values():
        for row in table.rows:
            assert row.code in text and row.vi in text and row.valid_from in text and row.replaced_by in text
    for codec in compiled.formats.values():
        for plan in codec.plans.values():
            assert all(vietnamese(loss) in text for loss in plan.losses)
    for each in DIFFERENCES:
        assert each.says.vi in text and each.says.en in html.unescape(page.page(compiled, "en", "https://cong.example"))


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_calls_on_the_page_can_be_copied(name: str, catalogue: Any, tmp_path: Path) -> None:
    compiled = catalogue[name]
    (tmp_path / "x.wsdl").write_bytes(wsdl.wsdl(compiled, f"https://cong.example/soap/{name}"))
    client = zeep.Client(str(tmp_path / "x.wsdl"))
    codec = compiled.codec("canonical")
    for op in compiled.contract.operations.values():
        smallest = valid(compiled, op.request)["smallest"]
        # Nothing is sent: the last call of the text makes the message.
        body: dict[str, Any] = {}
        exec(
            "from decimal import Decimal\nmade = dict("
            + calls.zeep(compiled, op, smallest, "").partition(f"{op.name}(\n")[2].removesuffix(")"),
            body,
        )
        element = client.create_message(client.service, op.name, **body["made"])
        assert codec.read_xml(op.request, parse_xml(etree.tostring(element.find(V11.body)[0]))) == smallest
        own = next((read_json(each.canonical) for each in compiled.samples if each.message == op.request), smallest)
        rest, soap = first_calls(compiled, [op.name], "https://cong.example", programs())
        encrypted = compiled.contract.protection == "encrypted"  # the short programs do not encrypt
        assert {tool for tool, _ in rest.commands} == {"Python"} | (set() if encrypted else SHORT)
        for _, text in rest.commands:
            words = shlex.split(text.rpartition("\n")[2])
            if op.method == "POST":
                assert codec.read_json(op.request, text.partition("\n")[2].partition("\nEND\n")[0].encode()) == own
            else:
                (asked,) = (each for each in words if each.startswith(f"/{name}"))
                assert codec.read_query(op.request, asked.partition("?")[2]) == own
        for _, text in soap.commands:
            written = text.partition("\n")[2].partition("\nEND\n")[0].encode()
            assert codec.read_xml(op.request, parse_xml(written)) == own


@pytest.mark.parametrize("protocol", ["REST", "SOAP"])
def test_the_way_for_python_names_the_packages_that_its_program_loads(protocol: str, catalogue: Any) -> None:
    given = first_calls(catalogue["field-report/v1"], ["createRequest"], "https://cong.example", programs())
    (text,) = (dict(each.commands)["Python"] for each in given if each.protocol == protocol)
    (line,) = (each for each in text.splitlines() if each.startswith("#"))
    named = set(line.partition("pip install ")[2].split())
    (program,) = re.findall(r"-m (gateway\.sample_client\.\w+)", text)
    ask = (
        f"import {program}, sys; print(*{{name.partition('.')[0] for name, each in sys.modules.items()"
        " if 'site-packages' in (getattr(each, '__file__', '') or '')})"
    )
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    packages = packages_distributions()
    needed = {name.lower() for each in loaded for name in packages[each]} - {"cffi"}  # a part of cryptography's
    assert needed <= named and (protocol == "REST" or needed == named)
