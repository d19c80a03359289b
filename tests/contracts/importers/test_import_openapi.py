"""Foreign OpenAPI files of both versions: what is taken, what is named as not taken, what is refused; and a draft's law
on real bodies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Failure, Theirs
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from contracts.importers.draft import Draft, write
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.source import Files
from contracts.wire.jsontext import read_json


def files(main: Any, others: Mapping[str, Any] | None = None) -> Files:
    given_files = {"main.yaml": main, **(others or {})}
    texts = {
        name: each if isinstance(each, str) else yaml.safe_dump(each, allow_unicode=True)
        for name, each in given_files.items()
    }
    return Files("main.yaml", lambda path: texts[path].encode() if path in texts else None)


def document(
    request: Any,
    answer: Any = None,
    *,
    version: str = "3.0.3",
    schemas: Any = None,
    parameters: Any = None,
    method: str = "post",
) -> Any:
    operation: dict[str, Any] = {"operationId": "guiSoLieu", "responses": {"200": {"description": "x"}}}
    if request is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": request}}}
    if answer is not None:
        operation["responses"]["200"]["content"] = {"application/json; charset=utf-8": {"schema": answer}}
    if parameters is not None:
        operation["parameters"] = parameters
    return {
        "openapi": version,
        "info": {"title": "Trạm quan trắc", "version": "1"},
        "paths": {"/so-lieu": {method: operation}},
        "components": {"schemas": schemas or {}},
    }


def draft(main: Any, others: Mapping[str, Any] | None = None) -> Draft:
    made = write(import_openapi(files(main, others)))
    compile_bundle(Bundle.of(made.files))
    return made


def codes(made: Draft) -> set[str]:
    return {note.code for note in made.notes}


def schema(made: Draft, name: str) -> Any:
    return read_json(made.files["schema.json"])["$defs"][name]


def rows(made: Draft, message: str) -> dict[str, str]:
    table = yaml.safe_load(made.files["systems/tram-quan-trac-json.yaml"])
    return {row["canonical"]: row["here"] for row in table["messages"][message]["rows"]}


STATION = {
    "type": "object",
    "required": ["maTram", "toaDo"],
    "properties": {
        "maTram": {"type": "string", "maxLength": 8, "pattern": r"^\d+$", "description": "Mã trạm"},
        "toaDo": {
            "type": "object",
            "required": ["lat"],
            "properties": {"lat": {"type": "number", "minimum": -90, "maximum": 90.5}},
        },
        "soDo": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["luc"],
                "properties": {"luc": {"type": "string", "format": "date-time"}},
            },
        },
        "loai": {"type": "string", "enum": ["muc-nuoc", "mua"]},
        "dem": {"type": "integer", "format": "int32", "minimum": 0},
        "id": {"type": "string", "readOnly": True},
    },
}


def test_objects_lists_bounds_and_names() -> None:
    made = draft(
        document(
            {"$ref": "#/components/schemas/Tram"}, {"$ref": "#/components/schemas/Tram"}, schemas={"Tram": STATION}
        )
    )
    assert not made.notes
    assert rows(made, "GuiSoLieuRequest") == {
        "ma_tram": "maTram",
        "toa_do.lat": "toaDo.lat",
        "so_do[].luc": "soDo[].luc",
        "loai": "loai",
        "dem": "dem",
    }
    assert "id" in rows(made, "GuiSoLieuAnswer")  # read only: of answers alone
    found = schema(made, "GuiSoLieuRequest")["properties"]
    assert found["ma_tram"] == {"type": "string", "maxLength": 8, "pattern": "^[0-9]+$", "title": "Mã trạm"}
    assert found["dem"] == {"type": "integer", "maximum": 2**31 - 1, "minimum": 0}
    assert found["so_do"]["minItems"] == 1
    assert str(schema(made, "ToaDo")["properties"]["lat"]["maximum"]) == "90.5"
    codec = compile_bundle(Bundle.of(made.files)).codec("tram-quan-trac-json")
    value = codec.read_json(
        "GuiSoLieuRequest", b'{"maTram":"007","toaDo":{"lat":22.50},"soDo":[{"luc":"2026-01-01T00:00:00+07:00"}]}'
    )
    assert codec.read_json("GuiSoLieuRequest", codec.write_json("GuiSoLieuRequest", value)) == value
    assert codec.rest["guiSoLieu"].path == "/so-lieu" and codec.rest["guiSoLieu"].method == "POST"


def test_the_words_of_3_1_and_composition() -> None:
    parts = {
        "Goc": {
            "type": "object",
            "properties": {"a": {"type": ["string", "null"]}, "n": {"type": "integer", "exclusiveMinimum": 0}},
        },
        "Them": {
            "allOf": [
                {"$ref": "#/components/schemas/Goc"},
                {"type": "object", "required": ["b", "n"], "properties": {"b": {"const": "x"}}},
            ]
        },
        "Chon": {
            "oneOf": [
                {"$ref": "#/components/schemas/Goc"},
                {"type": "object", "properties": {"c": {"type": "boolean"}}},
            ]
        },
    }
    made = draft(
        document(
            {"$ref": "#/components/schemas/Them"},
            {
                "type": "object",
                "properties": {"k": {"anyOf": [{"$ref": "#/components/schemas/Chon"}, {"type": "null"}]}},
            },
            version="3.1.0",
            schemas=parts,
        )
    )
    assert codes(made) == {"choice", "empty-object"}
    assert schema(made, "GuiSoLieuRequest")["required"] == ["n", "b"]
    assert schema(made, "GuiSoLieuRequest")["properties"]["n"] == {"type": "integer", "exclusiveMinimum": 0}
    assert schema(made, "GuiSoLieuRequest")["properties"]["b"] == {"type": "string", "enum": ["x"]}
    assert rows(made, "GuiSoLieuAnswer") == {"k.a": "k.a", "k.n": "k.n", "k.c": "k.c", "k": "k"}
    codec = compile_bundle(Bundle.of(made.files)).codec("tram-quan-trac-json")
    assert codec.read_json("GuiSoLieuAnswer", b'{"k":null}') == {"k": {"absent": "unknown"}}
    assert codec.write_json("GuiSoLieuAnswer", {"k": {"absent": "unknown"}}) == b'{"k":null}'


def test_a_query_of_parameters_and_an_answer_without_content() -> None:
    parameters = [
        {"name": "tuNgay", "in": "query", "required": True, "schema": {"type": "string", "format": "date"}},
        {"name": "X-Khoa", "in": "header", "schema": {"type": "string"}},
        {"name": "nhieu", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
    ]
    made = draft(document(None, parameters=parameters, method="get"))
    assert [note.detail for note in made.notes if note.code == "parameter"] == ["nhieu (query)"]
    assert [note.detail for note in made.notes if note.code == "moved"] == ["X-Khoa (header)"]
    codec = compile_bundle(Bundle.of(made.files)).codec("tram-quan-trac-json")
    assert codec.write_query("GuiSoLieuRequest", {"tu_ngay": "2026-01-01"}) == "tuNgay=2026-01-01"
    assert codec.rest["guiSoLieu"].method == "GET"
    assert "GuiSoLieuAnswer" not in codec.mapped


def test_what_cannot_be_taken_is_named() -> None:
    body = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "pattern": "x+"},
            "b": {
                "type": "object",
                "properties": {"x": {"type": "string"}},
                "additionalProperties": {"type": "string"},
            },
            "c": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
            "d.e": {"type": "string"},
            "d[e]": {"type": "string"},
            "f": {},
            "g": {"type": "integer", "multipleOf": 5},
            "h": {"$ref": "#/components/schemas/Khong"},
            "i": {"$ref": "http://nowhere.example/x.yaml#/A"},
            "j": {"$ref": "#/components/schemas/Cay"},
        },
    }
    tree = {
        "type": "object",
        "properties": {
            "ten": {"type": "string"},
            "con": {"type": "array", "items": {"$ref": "#/components/schemas/Cay"}},
        },
    }
    main = document(body, schemas={"Cay": tree})
    main["paths"]["/x/{id}"] = {"put": main["paths"]["/so-lieu"]["post"] | {"operationId": "khac"}}
    main["paths"]["/tep"] = {
        "post": {"operationId": "tep", "requestBody": {"content": {"text/csv": {}}}, "responses": {}}
    }
    main["paths"]["/ds"] = {
        "get": {
            "operationId": "ds",
            "responses": {"200": {"content": {"application/json": {"schema": {"type": "string"}}}}},
        }
    }
    made = draft(main)
    assert codes(made) == {"pattern", "map", "any-type", "array-of-maps", "name", "facet", "missing", "not-loaded",
                           "path-parameter", "method", "media", "root", "one-way", "empty-object"}  # fmt: skip
    assert {"a", "b.x", "d_e", "g", "j.ten", "j.con[].ten", "j.con[].con[]"} == set(rows(made, "GuiSoLieuRequest"))


def test_members_of_any_name_become_a_list_of_names_and_values() -> None:
    body = {
        "type": "object",
        "properties": {
            "them": {"type": "object", "additionalProperties": {"type": "string"}},
            "cua": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["so"],
                    "properties": {"so": {"type": "integer"}},
                },
            },
            "tep": {"type": "string", "format": "byte"},
            "ghiChu": {"type": "string", "nullable": True},
        },
        "required": ["tep", "ghiChu"],
    }
    made = draft(document(body))
    assert codes(made) == {"one-way", "nullable"}
    codec = compile_bundle(Bundle.of(made.files)).codec("tram-quan-trac-json")
    sent = '{"them":{"a":"1","Mã số":"2"},"cua":{"1":{"so":3}},"tep":"eA=="}'
    value = codec.read_json("GuiSoLieuRequest", (sent[:-1] + ',"ghiChu":null}').encode())
    assert value["them"] == [{"name": "a", "value": "1"}, {"name": "Mã số", "value": "2"}] and value["cua"] == [
        {"name": "1", "so": 3}
    ]
    assert value["ghi_chu"] == {"absent": "unknown"}
    assert read_json(codec.write_json("GuiSoLieuRequest", value)) == {**read_json(sent.encode()), "ghiChu": None}


def test_references_into_files_beside_it() -> None:
    made = draft(
        document({"$ref": "kieu/tram.yaml#/A"}),
        {
            "kieu/tram.yaml": {"A": {"type": "object", "properties": {"b": {"$ref": "../b.yaml"}}}},
            "b.yaml": {"type": "string"},
        },
    )
    assert codes(made) == {"one-way"} and rows(made, "GuiSoLieuRequest") == {"b": "b"}


@pytest.mark.parametrize(
    "main",
    [
        {"swagger": "2.0", "paths": {}},
        {"openapi": "3.2.0", "paths": {}},
        {"openapi": "3.0.0", "paths": {}},
        "openapi: !!python/object/apply:os.system [true]",
        "[1]",
        "{",
        "\x00",
        "a: " + "[" * 5000,
    ],
)
def test_refused(main: Any) -> None:
    with pytest.raises(Theirs) as caught:
        draft(main)
    assert caught.value.code.startswith("import.")


def test_what_explodes_is_bounded() -> None:
    """An object made ten times of itself, in fact and by YAML's aliases."""
    self_made = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "allOf": [{"$ref": "#/components/schemas/x"}] * 10,
    }
    untyped = {"allOf": [{"$ref": "#/components/schemas/y"}] * 10}
    assert "too-large" in codes(
        draft(json.dumps(document({"$ref": "#/components/schemas/x"}, schemas={"x": self_made})))
    )
    with pytest.raises(Theirs):
        draft(json.dumps(document({"$ref": "#/components/schemas/y"}, schemas={"y": untyped})))
    laughs = "a0: &a0 {type: object, properties: {x: {type: string}}}\n" + "".join(
        f"a{i + 1}: &a{i + 1} {{type: object, properties: {{{', '.join(f'p{j}: *a{i}' for j in range(10))}}}}}\n"
        for i in range(12)
    )
    text = (
        "openapi: 3.0.0\ninfo: {title: Trạm quan trắc}\nx-kieu:\n  "
        + laughs.replace("\n", "\n  ")
        + "\npaths: {/a: {post: {requestBody: {content: {application/json: {schema: *a12}}}, responses: {}}}}\n"
    )
    assert "too-large" in codes(draft(text))


# --- laws -------------------------------------------------------------------------------------------------------------

FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = ["ma", "hoTen", "ngày", "x-1", "absent", "id", "danh_sach"]


def schemas(depth: int = 0) -> st.SearchStrategy[Any]:
    scalars = st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "maxLength": 5, "minLength": 1},
            {"type": "string", "enum": ["a", "Ổ"]},
            {"type": "string", "format": "date"},
            {"type": "integer"},
            {"type": "integer", "minimum": 3, "exclusiveMaximum": True, "maximum": 9},
            {"type": "number"},
            {"type": "boolean"},
        ]
    )
    if depth == 3:
        return scalars
    inner = schemas(depth + 1)
    lists = st.builds(
        lambda items: {"type": "array", "items": items, "minItems": 1},
        inner.filter(lambda each: each["type"] != "array"),
    )
    objects = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=4).map(
        lambda made: {"type": "object", "properties": made, "required": list(made)[:2]}
    )
    return objects if depth == 0 else st.one_of(scalars, lists, objects)


def values(made: Any) -> st.SearchStrategy[Any]:
    kind = made["type"]
    if kind == "object":
        of = {name: values(each) for name, each in made["properties"].items()}
        required = {name: of.pop(name) for name in made["required"]}
        return st.fixed_dictionaries(required, optional=of)
    if kind == "array":
        return st.lists(values(made["items"]), min_size=1, max_size=3)
    if "enum" in made:
        return st.sampled_from(made["enum"])
    if "format" in made:
        return st.dates().filter(lambda day: day.year >= 1000).map(str)
    return {
        "string": st.text("aăđ <&\"'", min_size=made.get("minLength", 0), max_size=5),
        "integer": st.integers(made.get("minimum"), 8 if "maximum" in made else None),
        "number": st.integers()
        | st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda number: round(number, 3)),
        "boolean": st.booleans(),
    }[kind]


@FEW
@given(data=st.data(), body=schemas())
def test_a_body_that_the_schema_allows_goes_there_and_back(data: st.DataObject, body: Any) -> None:
    made = draft(json.dumps(document(body)))
    assert codes(made) == {"one-way"}
    codec = compile_bundle(Bundle.of(made.files)).codec("tram-quan-trac-json")
    sent = data.draw(values(body))
    value = codec.read_json("GuiSoLieuRequest", json.dumps(sent).encode())
    assert read_json(codec.write_json("GuiSoLieuRequest", value)) == read_json(json.dumps(sent).encode())


@FEW
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "array", "string", "#/components", "#/components/schemas/x", "#", "x.yaml"]),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["type", "properties", "items", "$ref", "allOf", "oneOf", "anyOf", "required", "enum", "const", "a", "additionalProperties", "maxItems"]), inner, max_size=4),
                    max_leaves=25))  # fmt: skip
def test_whatever_stands_for_a_schema_ends_in_a_draft_or_a_failure(body: Any) -> None:
    main = document(body, schemas={"x": body})
    try:
        draft(json.dumps(main))
    except Failure as failure:
        assert failure.code == "import.nothing"


def test_numbers_that_lie_far_apart_are_no_list_of_all_between_them() -> None:
    far = {"type": "integer", "enum": [0, 10**18]}
    near = {"type": "integer", "enum": [3, 1, 2]}
    main = document({"type": "object", "properties": {"xa": far, "gan": near}})
    assert [note.place.rpartition("/")[2] for note in import_openapi(files(main)).notes if note.code == "codes"] == [
        "xa"
    ]
