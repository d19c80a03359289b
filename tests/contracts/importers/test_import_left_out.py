"""What an OpenAPI document has that a draft has not: left out or changed with a note, never the whole document."""

from __future__ import annotations

import pytest

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from contracts.importers.draft import write
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.shape import Call, Group, Message, Part, Value
from tests.contracts.importers.test_import_openapi import codes, document, draft, files, rows


def test_a_path_parameter_beside_a_list_is_drafted() -> None:
    item = {"type": "object", "properties": {"v": {"type": "number"}}, "required": ["v"]}
    place = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    main = document({"type": "array", "items": item}, parameters=place)
    main["paths"] = {"/things/{id}/readings": main["paths"].pop("/so-lieu")}
    made = draft(main)
    assert codes(made) == {"path-parameter", "parameter", "one-way"}
    assert rows(made, "GuiSoLieuRequest") == {"items[].v": "[].v"}


def test_an_operation_that_cannot_be_drafted_is_left_out_with_a_note() -> None:
    good = {"type": "object", "properties": {"v": {"type": "number"}}, "required": ["v"]}
    interface = import_openapi(files(document(good)))
    items = Part("items", "", Group("x", [Part("v", "v", Value({"type": "number"}))]), most=None)
    both = Message("bad", None, Group("bad", [items, Part("id", "id", Value({"type": "string"}))]))
    interface.calls.append(Call("khongDuoc", both, None))
    made = write(interface)
    compile_bundle(Bundle.of(made.files))
    assert [each.detail for each in made.notes if each.code == "not-drafted"] == ["khongDuoc"]
    interface.calls[:] = [Call("khongDuoc", both, None)]
    with pytest.raises(Failure):
        write(interface)


@pytest.mark.parametrize("required", [[], ["opt"]])
def test_an_object_that_may_be_empty_is_noted(required: list[str]) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    made = draft(document({"type": "object", "properties": {"opt": inner}, "required": required}))
    assert ("empty-object", "opt") in {(each.code, each.detail) for each in made.notes}
    full = inner | {"required": ["a"]}
    assert "empty-object" not in codes(draft(document({"type": "object", "properties": {"opt": full}})))
