"""OpenAPI bodies that are forms, and parameters beside a body."""

from __future__ import annotations

import json

from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from contracts.importers.draft import write
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.source import Files
from tests.contracts.importers.test_import_openapi import document, files


def test_parameters_beside_a_body_and_a_form_are_taken() -> None:
    form = {
        "type": "object",
        "properties": {
            "service_code": {"type": "string"},
            "lat": {"type": ["number", "null"]},
            "tag": {"type": "array", "items": {"type": "string"}},
            "attribute": {"type": "object", "additionalProperties": {"type": "string"}},
            "media": {"type": "array", "items": {"type": "object", "properties": {"url": {"type": "string"}}}},
        },
        "required": ["service_code", "lat"],
    }
    parameters = [
        {"name": "jurisdiction_id", "in": "query", "schema": {"type": "string"}},
        {"name": "X-Nguon", "in": "header", "required": True, "schema": {"type": "string"}},
        {"name": "Accept", "in": "header", "schema": {"type": "string"}},
        {"name": "lat", "in": "query", "schema": {"type": "number"}},
    ]
    operation = {
        "operationId": "gui",
        "parameters": parameters,
        "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {"204": {"description": "Xong"}},
    }
    document = {"openapi": "3.1.0", "info": {"title": "Phan anh"}, "paths": {"/requests": {"post": operation}}}
    made = write(import_openapi(Files("a.json", lambda path: json.dumps(document).encode())))
    notes = {(note.code, note.detail) for note in made.notes}
    assert {("moved", "jurisdiction_id (query)"), ("moved", "X-Nguon (header)"), ("form", "media")} <= notes
    assert {("parameter", "lat (query)"), ("parameter", "Accept (header)")} <= notes
    assert "samples/phan-anh-json/GuiRequest.mau.form" in made.files
    codec = compile_bundle(Bundle.of(made.files)).codec("phan-anh-json")
    raw = b"service_code=x&lat=1.5&tag[]=a&attribute[k]=v&jurisdiction_id=cb&X-Nguon=n"
    value = codec.read("GuiRequest", raw)
    assert codec.read("GuiRequest", codec.write("GuiRequest", value)) == value
    assert len(value) == 6 and codec.json_type("GuiRequest") == "application/x-www-form-urlencoded"


def test_an_operation_that_is_left_out_is_not_said_to_be_handed_in() -> None:
    main = document({"type": "object", "properties": {"ma": {"type": "string"}}})
    content = {"multipart/form-data": {"schema": {"type": "object"}}}
    main["paths"]["/anh"] = {
        "post": {"operationId": "guiAnh", "requestBody": {"content": content}, "responses": {"200": {}}}
    }
    notes = [note.code for note in import_openapi(files(main)).notes if "/anh/" in note.place]
    assert notes == ["media"]
