"""Foreign documents that once broke the importers, each the smallest that shows its fault (`tests/contracts/corpus`).

Each becomes a draft that passes `check` once its marks are filled in. The values beside it (`*.values.json`) go through
the draft and back; zeep and jsonschema-rs, which share no code with the importers, read what comes out.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
import zeep
from lxml import etree
from zeep.helpers import serialize_object

from contracts.base.errors import Theirs
from contracts.codecs.cells.codec import CellCodec
from contracts.compiled.contract import CompiledContract
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import MARK
from contracts.importers.draft import Draft, write
from contracts.importers.formats.cells import import_csv
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.source import Files
from contracts.proof.check import check_bundle

CORPUS = Path(__file__).parents[1] / "corpus"
NOTED = {  # what the draft says of the document: nothing is left out in silence
    "array-of-wrapper": {"nil-items"},
    "item-cut-by-recursion": {"recursion", "order", "itself"},
    "items-that-hold-only-themselves": {"order", "itself"},
    "abstract-with-types": {"no-binding-rpc"},
    "root-list-of-itself": {"itself", "one-way"},
    "group-of-constants": {"hollow"},
    "one-root-without-actions": {"empty-action", "shared-root"},
    "integers-of-a-list": {"one-way", "codes"},
    "alternatives-of-values": {"one-way", "alternatives"},
    "names-between-quotes": {"one-way", "empty-object"},
    "kinds-of-values": {"one-way", "alternatives", "codes"},
    "title-line": {"guessed"},
    "webhooks": {"webhook"},
    "items-that-are-null": {"choice", "nil-items", "one-way"},
    "nullable-list-of-itself": {"one-way"},
    "characters-of-an-example": {"characters", "one-way"},
}

ANSWERS = (  # an OpenAPI document with one answer
    '{"openapi": "3.0.3", "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": %s}}}}}}}'
)


def documents(ending: str) -> list[str]:
    return sorted(path.name for path in CORPUS.glob(f"*{ending}"))


READERS = {".wsdl": import_wsdl, ".yaml": import_openapi, ".csv": import_csv}


def drafted(name: str) -> Draft:
    def read(path: str) -> bytes | None:
        return (CORPUS / path).read_bytes() if (CORPUS / path).is_file() else None

    return write(READERS[Path(name).suffix](Files(name, read)))


def proved(name: str) -> tuple[CompiledContract, str]:
    """The contract of a draft whose marks are filled in, and its foreign format."""
    draft = drafted(name)
    assert {each.code for each in draft.notes} == NOTED.get(name.rpartition(".")[0], set())
    files = {path: raw.replace(MARK.encode(), b"xong") for path, raw in draft.files.items()}
    report = check_bundle(Bundle.of(files))
    assert report.findings == [] and report.compiled is not None
    (foreign,) = set(report.compiled.formats) - {"canonical"}
    return report.compiled, foreign


def values(name: str) -> list[Any]:
    raw = (CORPUS / (name.rpartition(".")[0] + ".values.json")).read_text(encoding="utf-8")
    listed: list[Any] = json.loads(raw)
    return listed


@pytest.mark.parametrize("name", documents(".wsdl"))
def test_what_zeep_writes_by_a_wsdl_comes_back_as_the_same(name: str) -> None:
    compiled, foreign = proved(name)
    bound = CORPUS / "bound" / name  # what an abstract WSDL leaves out, for zeep
    client = zeep.Client(str(bound if bound.is_file() else CORPUS / name))
    kind = client.service._binding._operations["Hoi"].input.body.type
    codec, operation = compiled.codec(foreign), next(iter(compiled.contract.operations.values()))
    for each in values(name):
        sent = client.create_message(client.service, "Hoi", **each)[-1][0]
        back = codec.write(operation.request, codec.read(operation.request, etree.tostring(sent)))
        seen, given = (
            serialize_object(kind.parse_xmlelement(each, client.wsdl.types)) for each in (etree.fromstring(back), sent)
        )
        assert seen == given


@pytest.mark.parametrize("name", documents(".yaml"))
def test_a_body_of_an_openapi_document_comes_back_as_the_same(name: str) -> None:
    compiled, foreign = proved(name)
    document = yaml.safe_load((CORPUS / name).read_text(encoding="utf-8"))
    (path,) = (document.get("paths") or document["webhooks"]).values()
    schema = path["post"]["requestBody"]["content"]["application/json"]["schema"]
    reader = jsonschema_rs.Draft202012Validator({**schema, "components": document.get("components", {})})
    codec, operation = compiled.codec(foreign), next(iter(compiled.contract.operations.values()))
    for each in values(name):
        reader.validate(each)
        back = json.loads(codec.write(operation.request, codec.read(operation.request, json.dumps(each).encode())))
        reader.validate(back)
        assert back == each


def test_the_lines_of_a_table_come_back_as_the_same() -> None:
    """`csv` reads what is written. Workbooks: `test_import_cells.py`."""
    name = "title-line.csv"
    compiled, foreign = proved(name)
    (operation,) = compiled.contract.operations.values()
    codec = compiled.codec(foreign)
    assert isinstance(codec, CellCodec)
    messages = codec.read_cells(operation.request, (CORPUS / name).read_bytes())
    written = codec.write_cells(operation.request, messages).decode("utf-8-sig")
    assert list(csv.DictReader(io.StringIO(written, newline=""), delimiter=";")) == values(name)


def test_operations_with_one_root_are_told_apart_by_their_action() -> None:
    """A door routes by it: `tests/doors/test_door_soap_roots.py`."""
    compiled, foreign = proved("one-root-several-operations.wsdl")
    codec, names = compiled.codec(foreign), list(compiled.contract.operations)
    assert len(names) == 3 and len({each.request for each in compiled.contract.operations.values()}) == 1
    assert [codec.soap_action(operation) for operation in names] == ["urn:t:Hoi", "urn:t:Xem", "urn:t:Tra"]


def test_an_answer_that_is_a_list_comes_back_as_the_same() -> None:
    compiled, foreign = proved("lists-of-lists.yaml")
    codec, (operation,) = compiled.codec(foreign), compiled.contract.operations.values()
    for each in ([], ["a", "b"]):
        assert (
            json.loads(codec.write(operation.answer, codec.read(operation.answer, json.dumps(each).encode()))) == each
        )


def test_a_webhook_is_handed_in() -> None:
    compiled, _ = proved("webhooks.yaml")
    (operation,) = compiled.contract.operations.values()
    assert operation.pattern == "submit" and operation.answer == "Accepted"


def test_a_name_of_two_parameters_is_one_field_and_the_other_is_named_as_lost() -> None:
    where = ("path", "query")
    parameters = [{"name": "id", "in": each, "required": True, "schema": {"type": "string"}} for each in where]
    operation = {"operationId": "getOne", "parameters": parameters, "responses": {"204": {"description": "ok"}}}
    document = {"openapi": "3.1.0", "info": {"title": "x"}, "paths": {"/one/{id}": {"get": operation}}}
    draft = write(import_openapi(Files("a.json", lambda path: json.dumps(document).encode())))
    assert "id (query)" in {each.detail for each in draft.notes if each.code == "parameter"}
    report = check_bundle(Bundle.of({path: raw.replace(MARK.encode(), b"xong") for path, raw in draft.files.items()}))
    assert report.findings == []


@pytest.mark.parametrize(
    ("name", "document", "code"),
    [
        ("a.wsdl", '<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/"/>', "no-port-type"),
        (
            "a.wsdl",
            '<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/"><w:portType name="P"/></w:definitions>',
            "no-operation",
        ),
        ("a.json", '{"openapi": "3.1.0", "info": {"title": "x", "version": "1"}}', "no-path"),
        ("a.json", ANSWERS % "{}", "no-schema"),
        ("a.json", ANSWERS % '{"schema": {"type": "object"}}', "open-object"),
        ("a.json", ANSWERS % '{"schema": {"type": "string"}}', "root"),
    ],
)
def test_a_document_with_nothing_to_take_says_what_it_lacks(name: str, document: str, code: str) -> None:
    with pytest.raises(Theirs) as caught:
        (import_wsdl if name.endswith("wsdl") else import_openapi)(Files(name, lambda path: document.encode()))
    assert caught.value.code == "import.nothing" and code in caught.value.what("en")
    assert code in [each.rule for each in caught.value.findings]


def test_items_that_are_nil_are_read_over() -> None:
    compiled, foreign = proved("array-of-wrapper.wsdl")
    nil = '<Unit xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'
    one = f"<Unit><Name>a</Name><Children>{nil}<Unit><Name>b</Name></Unit></Children></Unit>"
    (operation,) = compiled.contract.operations.values()
    read = compiled.codec(foreign).read(
        operation.request, f'<Hoi xmlns="urn:t"><Units>{nil}{one}{nil}</Units></Hoi>'.encode()
    )
    assert json.dumps(read).count('"name": ') == 2 and "absent" not in json.dumps(read)
    compiled, foreign = proved("items-that-are-null.yaml")
    (operation,) = compiled.contract.operations.values()
    read = compiled.codec(foreign).read(operation.request, b'{"ten":[null,"a"],"muc":[{"so":1},null]}')
    assert read == {"ten": ["a"], "muc": [{"so": 1}]}
