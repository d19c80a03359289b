"""What a contract costs to load: it grows with its types and rows, also where types refer to each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.canonical.model import Array, Field, Scalar, Struct
from contracts.canonical.places import Places
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces.examples import Maker, Unsatisfiable
from contracts.faces.samples import allowed, of_message
from contracts.folder.bundle import Bundle
from contracts.importers import source
from contracts.importers.draft import write
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.source import Files
from contracts.wire.soap import parse_xml
from tests.contracts.rowsmaking import CONTRACT, closed, contract, found, read, refused_table
from tests.cost import seconds

TEXT = {"type": "string", "minLength": 1, "maxLength": 20}


def listed(name: str) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{name}"}}


def schema(defs: dict[str, Any]) -> str:
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs})


def entangled(count: int, more: int = 0) -> str:
    """A message and types of which each refers to all of them."""
    names = [f"T{number}" for number in range(count)]
    single = {f"x{number}": TEXT for number in range(more)}
    parts = {name: closed({f"v{name}": TEXT} | single | {f"l{each}": listed(each) for each in names}) for name in names}
    return schema({"Thing": closed({"first": {"$ref": "#/$defs/T0"}}), **parts})


def flat(count: int) -> str:
    return schema(
        {"Thing": closed({f"f{each}": listed(f"T{each % 4}") for each in range(count)})}
        | {f"T{each}": closed({"a": TEXT, "again": listed(f"T{each}")}, "a") for each in range(4)}
    )


def rows(count: int) -> str:
    lines = []
    for each in range(count):
        lines.append(f'- {{canonical: "f{each}[].a", here: "d{each}[].a"}}')
        lines.append(f'- {{canonical: "f{each}[].again[]", here: "d{each}[].lai[]", again: "f{each}[]"}}')
    return "\n".join(lines)


def deep(into: dict[str, Any], path: str) -> dict[str, Any]:
    """`into`, with an object at the end of a path of lists."""
    value: dict[str, Any] = into
    for name in reversed(path.split(".")):
        value = {name: [value]}
    return {"first": value}


def test_seven_types_that_refer_to_each_other_load_and_carry_values() -> None:
    compiled = contract(entangled(7), {})
    for path in ("lT6.lT5.lT0.lT6", "lT3.lT2.lT1.lT0.lT4.lT6.lT5.lT0", "lT1"):
        last = path[-2:]
        value = deep({f"v{last}": "x"}, path)
        codec = compiled.codec("canonical")
        assert codec.read("Thing", codec.write("Thing", value)) == value
        assert codec.read_xml("Thing", parse_xml(codec.write_xml("Thing", value))) == value
        wrong = json.dumps(deep({f"v{last}": 1}, path)).encode()
        at = "first." + "[0].".join(path.split(".")) + f"[0].v{last}"
        assert [each[1] for each in found(lambda raw=wrong: read(compiled, "canonical", raw))] == [at]


def test_types_in_too_many_orders_are_refused_at_once() -> None:
    (finding,) = refused_table(entangled(7, more=3), {})
    assert (finding.canonical, finding.rule) == ("$defs/Thing", "profile") and "refer to each other" in finding.got


def test_objects_within_each_other_are_bounded_however_they_are_written() -> None:
    chain = {f"T{each}": closed({"v": TEXT, "c": {"$ref": f"#/$defs/T{each + 1}"}}) for each in reversed(range(300))}
    (finding,) = refused_table(schema({"T300": closed({"v": TEXT}), **chain, "Thing": closed({"a": TEXT})}), {})
    assert "65 objects within each other" in finding.got


def whole(*form: Any) -> CompiledContract:
    """A contract with all that is otherwise compiled on first use."""
    made = contract(*form)
    made.compile_messages()
    return made


def test_a_message_is_compiled_when_it_is_first_used_and_once() -> None:
    thing = contract(flat(2), {"json-a": rows(2)})
    codecs = list(thing.formats.values())
    assert [len(each._json) + len(each._xml) for each in codecs] == [0, 0]
    written = thing.codec("json-a").write_json("Thing", {})
    first = thing.codec("json-a")._json["Thing"]
    assert thing.codec("json-a").read_json("Thing", written) == {}
    assert thing.codec("json-a")._json["Thing"] is first and not thing.codec("canonical")._json


def test_a_table_with_twice_the_lists_costs_about_twice() -> None:
    few, many = flat(60), flat(120)
    contract(few, {"json-a": rows(60)})
    cost = [
        seconds(lambda: whole(few, {"json-a": rows(60)})),
        seconds(lambda: whole(many, {"json-a": rows(120)})),
    ]
    assert cost[1] < 3 * cost[0], cost


def test_a_table_for_entangled_types_looks_up_only_what_it_names() -> None:
    """Five types have sixteen million paths when each is entered once more."""
    table = '- {canonical: "first.vT0", here: a}\n- {canonical: "first.lT4[].lT3[].vT3", here: "b[].c[].d"}'
    findings = refused_table(entangled(5), {"json-a": table})
    assert {each.rule for each in findings} == {"table"} and len(findings) < 2_000
    assert any(each.canonical == "first.lT1[].vT1" for each in findings)


def test_a_place_is_found_wherever_a_recursive_type_is_entered_once() -> None:
    places = Places(contract(entangled(4), {}).messages["Thing"])
    assert places["first.lT3[].lT2[].vT2"].path == "first.lT3[].lT2[].vT2"
    assert "first.lT0[].lT1[].lT0" in places and "first.lT0[].lT0[].vT0" not in places
    assert "first[].vT0" not in places and "first.lT0.vT0" not in places and "" not in places


def test_an_import_of_entangled_types_gives_a_valid_draft() -> None:
    refer = {f"r{each}": {"type": "array", "items": {"$ref": f"#/components/schemas/T{each}"}} for each in range(6)}
    parts = {f"T{each}": {"type": "object", "properties": {"v": {"type": "string"}, **refer}} for each in range(6)}
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T0"}}}}
    paths = {"/a": {"post": {"operationId": "a", "requestBody": content, "responses": {"200": {"description": ""}}}}}
    document = {"openapi": "3.0.3", "info": {"title": "x"}, "paths": paths, "components": {"schemas": parts}}
    draft = write(import_openapi(Files("a.json", lambda path: json.dumps(document).encode())))
    assert compile_bundle(Bundle.of(draft.files)).exchanged
    assert "too-large" in {each.code for each in draft.notes}


def test_a_made_message_has_a_bounded_number_of_values() -> None:
    text = Scalar("string")
    values: Any = text
    for _ in range(3):
        values = Struct("G", (Field("items", Array(values, 1_000, None), required=True, absentable=False),))
    with pytest.raises(Unsatisfiable, match="values are required"):
        Maker({}).smallest(values)
    compiled = contract(entangled(7), {})
    made = Maker(compiled.tables).full(compiled.messages["Thing"])
    assert compiled.validate("Thing", made) == []
    assert all(f'"vT{each}"' in json.dumps(made) for each in range(7))


def test_what_is_tried_of_a_large_message_is_bounded() -> None:
    """Each broken constraint takes a whole message, so all of them would cost the square of its fields."""
    wide = {f"f{each}": {"type": "integer", "minimum": 0, "maximum": 9} for each in range(900)}
    compiled = contract(schema({"Thing": closed(wide, *wide)}), {})
    made = of_message(compiled, "Thing")
    whole, broken = [each for each in made if not each.rule], [each for each in made if each.rule]
    size = max(len(each.content) for each in whole)
    assert len(broken) == allowed(compiled, size) < 900
    assert sum(len(each.content) for each in broken) < 2 * allowed(compiled, 1)
    assert {each.rule for each in broken} >= {"type", "range", "required"} and broken[-1].path > "f890"


def test_tables_beyond_the_budget_are_refused_and_the_largest_is_named() -> None:
    rows = "- {canonical: v, here: a}"
    padding = "\n".join(f"# {'x' * 100}" for _ in range(10_000))
    head = "format: json\ntitle: {vi: A, en: A}\nmessages:\n  Thing:\n    rows:\n      " + rows + "\n"
    files = {
        "contract.yaml": CONTRACT,
        "schema.json": schema({"Thing": closed({"v": TEXT}, "v")}),
        "systems/a.yaml": head,
        "systems/b.yaml": head + padding * 2,
    }
    with pytest.raises(Theirs) as caught:
        compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))
    (finding,) = caught.value.findings
    assert (finding.here, finding.rule) == ("systems/b.yaml", "cost")


def test_an_import_beyond_the_budget_names_the_operations_that_took_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_VISITS", 3_000)
    parts = {"type": "object", "properties": {f"f{each}": {"type": "string"} for each in range(200)}}
    content = {"content": {"application/json": {"schema": parts}}}
    paths = {f"/{name}": {"post": {"operationId": name, "requestBody": content, "responses": {}}} for name in "ab"}
    document = json.dumps({"openapi": "3.0.3", "info": {"title": "x"}, "paths": paths}).encode()
    with pytest.raises(Theirs) as caught:
        import_openapi(Files("a.json", lambda path: document))
    assert caught.value.code == "import.too-large" and "(a: " in caught.value.what("en")
