"""The promise of `not breaking`, on generated pairs of schemas and messages: whoever was built to the old version goes
on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.compiled.pinned import pinned, projection
from contracts.diff.changes import Level
from contracts.diff.compare import differences, level_of
from contracts.folder.bundle import Bundle
from contracts.wire.soap import parse_xml
from tests.size import examples

Schema = dict[str, Any]
LAWS = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)
NAMES = ["ma", "ten", "diaBan", "giaTri", "ghiChu"]
WORDS = ["cao", "vua", "thap", "khac"]
PATTERNS = ["^[a-z]{1,6}$", "^[A-Z0-9-]{2,5}$", "^[a-z]{1,9}$"]


def contract(request: Schema, answer: Schema, version: str) -> tuple[Bundle, CompiledContract]:
    head = {
        "id": "so-lieu",
        "version": version,
        "title": {"vi": "Số liệu", "en": "Figures"},
        "description": {"vi": "Số liệu", "en": "Figures"},
        "owner_role": "department",
        "legal_basis": ["Quyết định 451/QĐ-UBND"],
        "retention_months": 24,
        "operations": {
            "ask": {
                "pattern": "query",
                "method": "POST",
                "path": "/hoi",
                "request": "Question",
                "answer": "Figure",
                "title": {"vi": "Hỏi", "en": "Ask"},
            }
        },
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"Question": request, "Figure": answer},
    }
    return _made(json.dumps(head, ensure_ascii=False), json.dumps(schema))


@lru_cache(maxsize=64)
def _made(head: str, schema: str) -> tuple[Bundle, CompiledContract]:
    bundle = Bundle.of({"contract.yaml": head.encode(), "schema.json": schema.encode()})
    return bundle, compile_bundle(bundle)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def without_none(given: dict[str, Any]) -> Schema:
    return {name: value for name, value in given.items() if value is not None}


TEXTS = st.fixed_dictionaries(
    {"type": st.just("string"), "minLength": maybe(st.integers(0, 2)), "maxLength": maybe(st.integers(4, 8))}
).map(without_none)
ENUMS = st.builds(
    lambda values: {"type": "string", "enum": values}, st.lists(st.sampled_from(WORDS), min_size=1, unique=True)
)
SHAPES = st.builds(lambda pattern: {"type": "string", "pattern": pattern}, st.sampled_from(PATTERNS))
DATES = st.builds(lambda form: {"type": "string", "format": form}, st.sampled_from(["date", "date-time"]))
NUMBERS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["integer", "number"]),
        "minimum": maybe(st.integers(-2, 2)),
        "exclusiveMaximum": maybe(st.integers(6, 9)),
    }
).map(without_none)
SCALARS = TEXTS | ENUMS | SHAPES | DATES | NUMBERS | st.just({"type": "boolean"})


def arrays(items: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    bounds = st.fixed_dictionaries({"minItems": st.integers(1, 2), "maxItems": maybe(st.integers(3, 5))})
    return st.builds(lambda inner, given: {"type": "array", "items": inner, **without_none(given)}, items, bounds)


@st.composite
def objects(draw: Callable[..., Any], depth: int = 1) -> Schema:
    below = SCALARS | arrays(SCALARS)
    if depth:
        below = below | objects(depth - 1) | arrays(objects(depth - 1))
    properties = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        properties[name] = copy.deepcopy(draw(below))
        if draw(st.integers(0, 3)) == 0:
            properties[name]["absentable"] = True
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def parts(schema: Schema) -> list[Schema]:
    """A schema and all within it."""
    inner = list(schema.get("properties", {}).values()) + ([schema["items"]] if "items" in schema else [])
    return [schema, *(part for each in inner for part in parts(each))]


@st.composite
def successors(draw: Callable[..., Any], schema: Schema) -> Schema:
    """The schema with up to three small changes, any of which may break or not."""
    made: Schema = copy.deepcopy(schema)
    for _ in range(draw(st.integers(0, 3))):
        part = draw(st.sampled_from(parts(made)))
        kind = part["type"]
        if kind == "object":
            names, required = sorted(part["properties"]), part["required"]
            act = draw(st.sampled_from(["add", "add", "add", "lift", "require", "remove", "turn", "absence"]))
            name = draw(st.sampled_from(names))
            if act == "add" and (fresh := [each for each in NAMES if each not in names]):
                part["properties"] = _put_in(
                    draw,
                    part["properties"],
                    draw(st.sampled_from(fresh)),
                    copy.deepcopy(draw(SCALARS | arrays(SCALARS))),
                )
            elif act == "lift" and required:
                required.remove(draw(st.sampled_from(required)))
            elif act == "require" and name not in required:
                required.append(name)
            elif act == "remove" and len(names) > 1:
                del part["properties"][name]
                part["required"] = [each for each in required if each != name]
            elif act == "turn":
                part["properties"] = dict(reversed(part["properties"].items()))
            elif act == "absence":
                child = part["properties"][name]
                child["absentable"] = not child.get("absentable", False)
        elif kind == "array":
            word, value = draw(
                st.sampled_from(
                    [("minItems", 1), ("minItems", 2), ("maxItems", 3), ("maxItems", 5), ("maxItems", None)]
                )
            )
            _set(part, word, value)
        elif "enum" in part:
            part["enum"] = draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True))
        elif "pattern" in part or "format" in part:
            part.update(draw(SHAPES | DATES)) if draw(st.booleans()) else [
                part.pop(word, None) for word in ("pattern", "format")
            ]
            if "pattern" in part:
                part.pop("format", None)
        elif kind == "string":
            _set(
                part,
                *draw(
                    st.sampled_from(
                        [("minLength", None), ("minLength", 1), ("maxLength", None), ("maxLength", 8), ("maxLength", 4)]
                    )
                ),
            )
        elif kind in ("integer", "number"):
            word, value = draw(
                st.sampled_from(
                    [
                        ("minimum", None),
                        ("minimum", -3),
                        ("exclusiveMaximum", 9),
                        ("exclusiveMaximum", None),
                        ("type", "number"),
                    ]
                )
            )
            _set(part, word, value)
    return made


def _put_in(draw: Callable[..., Any], properties: dict[str, Schema], name: str, schema: Schema) -> dict[str, Schema]:
    items = list(properties.items())
    items.insert(draw(st.integers(0, len(items))), (name, schema))
    return dict(items)


def _set(schema: Schema, word: str, value: Any) -> None:
    if value is None:
        schema.pop(word, None)
    else:
        schema[word] = value
    if schema["type"] == "array":
        schema.setdefault("minItems", 1)


PAIRS = st.tuples(objects(), objects()).flatmap(
    lambda old: st.tuples(
        st.just(old), st.tuples(successors(old[0]), successors(old[1])) | st.tuples(objects(), objects())
    )
)


@LAWS
@given(pair=PAIRS, data=st.data())
def test_what_does_not_break_breaks_nobody(pair: Any, data: st.DataObject, values_of: Any) -> None:
    (old_request, old_answer), (new_request, new_answer) = pair
    first, second = contract(old_request, old_answer, "1.0.0"), contract(new_request, new_answer, "1.1.0")
    old, new = first[1], second[1]
    level = level_of(differences(first, second))
    event(level.name)
    assume(level is not Level.MAJOR)
    # What callers built to the old version send, the new one takes, and it is read the same.
    asked = data.draw(values_of(old, "Question"))
    assert new.validate("Question", asked) == []
    xml = old.codec("canonical").write_xml("Question", asked)
    assert new.codec("canonical").read_xml("Question", parse_xml(xml)) == asked
    behind = pinned(old, "canonical")
    assert behind.read_json("Question", old.codec("canonical").write_json("Question", asked)) == asked
    # What is answered to them, brought down to their version, is valid there; by either face.
    answered = data.draw(values_of(new, "Figure"))
    seen = projection(old.messages["Figure"])(answered)
    assert old.validate("Figure", seen) == []
    assert old.codec("canonical").read_json("Figure", behind.write_json("Figure", answered)) == seen
    assert old.codec("canonical").read_xml("Figure", parse_xml(behind.write_xml("Figure", answered))) == seen
    # What providers built to the old version answer, the new one takes.
    given_back = data.draw(values_of(old, "Figure"))
    assert new.validate("Figure", given_back) == []
    # What callers of the new version send, an old provider gets as it knows it, or not at all.
    sent = data.draw(values_of(new, "Question"))
    try:
        wire = behind.write_json("Question", sent)
    except Theirs as refused:
        assert refused.code == "message.not-expressible" and refused.findings
    else:
        assert old.codec("canonical").read_json("Question", wire) == projection(old.messages["Question"])(sent)


@LAWS
@given(pair=PAIRS)
def test_every_difference_is_told_in_both_directions_and_taking_a_field_back_breaks(pair: Any) -> None:
    (old_request, old_answer), (new_request, new_answer) = pair
    first, second = contract(old_request, old_answer, "1.0.0"), contract(new_request, new_answer, "1.1.0")
    forth, back = differences(first, second), differences(second, first)
    assert bool(forth) == bool(back) == (first[0].files["schema.json"] != second[0].files["schema.json"])
    if any(change.code == "schema.field-added" for change in forth):
        assert level_of(back) is Level.MAJOR


@LAWS
@given(schema=objects(), answer=objects(), data=st.data())
def test_a_version_is_its_own_projection(schema: Schema, answer: Schema, data: st.DataObject, values_of: Any) -> None:
    _, compiled = contract(schema, answer, "1.0.0")
    value = data.draw(values_of(compiled, "Question"))
    assert projection(compiled.messages["Question"])(value) == value
