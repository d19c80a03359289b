"""Checks parameters, forms and JSON bodies against the documents, instead of connexion's checks.

connexion compiles a schema for each call, quotes wrong values, accepts unknown and repeated parameters, and refuses
chunked bodies. These checks are compiled once (jsonschema-rs) and report all findings without values.
Invariant: an operation whose parameters or body cannot be checked here does not start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl

from contracts.base.errors import Finding
from contracts.canonical.findings import kind_of
from contracts.canonical.patterns import draft4
from contracts.wire.headers import media_type
from contracts.wire.jsontext import read_json
from gateway.doors.api.errors import API_INVALID
from gateway.doors.errors import BODY_MEDIA_TYPE

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
RECEIVED, PARAMS, FORM_DATA, JSON_DATA = "lgsp.received", "lgsp.params", "lgsp.form", "lgsp.json"
_MOST_FIELDS: Final = 50
_LARGE: Final = 65_536  # bytes of JSON that are read off the event loop
_MOST_FINDINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    place: str  # path | query | header
    required: bool
    schema: Mapping[str, Any]
    check: Any

    def read(self, text: str | None, findings: list[Finding]) -> Any:
        here = f"{self.place} {self.name}"
        if text is None:
            if self.required:
                findings.append(Finding(here, "", "nothing", "required", "a value"))
            return self.schema.get("default")
        value: Any = text
        if self.schema.get("type") == "integer":
            digits = text.removeprefix("-")
            if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
                findings.append(Finding(here, "", f"text of {len(text)} characters", "type", "integer"))
                return None
            value = int(text)
        findings.extend(_findings(self.check, value, here))
        return value


@dataclass(frozen=True, slots=True)
class Checks:
    """The compiled checks of one operation."""

    parameters: tuple[Parameter, ...]
    form: Any | None  # validator of the form
    form_names: frozenset[str]
    json: Any | None = None  # validator of the JSON body

    @classmethod
    def compile(cls, operation: Mapping[str, Any], resolve: Any) -> Checks:
        """ValueError for anything that these checks do not cover."""
        parameters = []
        for raw in operation.get("parameters", ()):
            schema = resolve(raw["schema"])
            if raw["in"] not in ("path", "query", "header") or schema.get("type") not in ("string", "integer"):
                raise ValueError(
                    f"parameter {raw['name']}: only strings and integers in path, query and header are checked"
                )
            parameters.append(
                Parameter(raw["name"], raw["in"], raw.get("required", False), schema, draft4(dict(schema)))
            )
        content = operation.get("requestBody", {}).get("content", {})
        if len(content) > 1 or set(content) - {FORM, JSON}:
            raise ValueError(
                f"a body of {', '.join(sorted(content))} would not be checked: one form, or one JSON value"
            )
        if not content:
            return cls(tuple(parameters), None, frozenset())
        if JSON in content:
            return cls(tuple(parameters), None, frozenset(), draft4(dict(resolve(content[JSON]["schema"]))))
        schema = dict(resolve(content[FORM]["schema"]))
        return cls(tuple(parameters), draft4(schema), frozenset(schema["properties"]))

    def read_parameters(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        received = scope[RECEIVED]
        findings: list[Finding] = []
        query: dict[str, str] = {}
        known = {parameter.name for parameter in self.parameters if parameter.place == "query"}
        for name, value in _pairs(received.query, "query", findings):
            if name not in known:
                findings.append(
                    Finding(f"query {name[:40]}", "", "a value", "unknown", ", ".join(sorted(known)) or "no parameters")
                )
            elif name in query:
                findings.append(Finding(f"query {name}", "", "two values", "unique", "one value"))
            query[name] = value
        path = scope.get("path_params", {})
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.place == "query":
                text = query.get(parameter.name)
            elif parameter.place == "path":
                text = str(path[parameter.name]) if parameter.name in path else None
            else:
                text = received.headers.get(parameter.name.lower())
            values[parameter.name] = parameter.read(text, findings)
        _refuse(findings)
        return values

    def read_form(self, scope: Mapping[str, Any]) -> dict[str, str]:
        received = scope[RECEIVED]
        findings: list[Finding] = []
        values: dict[str, str] = {}
        media = media_type(received.headers)
        if media != FORM:
            raise BODY_MEDIA_TYPE(got=media or "—", expected=FORM)
        try:
            text = received.body.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
            findings.append(Finding("body", "", f"{len(received.body)} bytes", "format", "UTF-8"))
        for name, value in _pairs(text, "body", findings):
            if name in values:
                findings.append(Finding(f"body {name[:40]}", "", "two values", "unique", "one value"))
            values[name] = value
        # RFC 6749 §3.2: a field without a value counts as omitted, unknown ones are ignored.
        values = {name: value for name, value in values.items() if value and name in self.form_names}
        findings.extend(_findings(self.form, values, "body"))
        _refuse(findings)
        return values

    def read_json(self, scope: Mapping[str, Any]) -> Any:
        received = scope[RECEIVED]
        media = media_type(received.headers)
        if media != JSON:
            raise BODY_MEDIA_TYPE(got=media or "—", expected=JSON)
        value = read_json(received.body)
        _refuse(list(islice(_findings(self.json, value, "body"), _MOST_FINDINGS)))
        return value


def _pairs(text: str, place: str, findings: list[Finding]) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:  # UnicodeDecodeError is one too
        findings.append(
            Finding(
                place,
                "",
                f"{len(text)} characters",
                "format",
                f"at most {_MOST_FIELDS} of name=value, percent-encoded UTF-8",
            )
        )
        return []


def _findings(check: Any, value: Any, here: str) -> Iterable[Finding]:
    for error in check.iter_errors(value):
        steps = ".".join(str(step) for step in error.instance_path)
        kind = error.kind
        # `kind.value` is the schema's value, never the caller's.
        yield Finding(
            f"{here} {steps}".rstrip(),
            "",
            kind_of(error.instance),
            str(kind.name),
            str(getattr(kind, "value", kind.name))[:200],
        )


def _refuse(findings: list[Finding]) -> None:
    if findings:
        raise API_INVALID(count=len(findings), findings=findings[:_MOST_FINDINGS])


def validators(checks: Mapping[str, Checks]) -> dict[str, Any]:
    """The `validator_map` for connexion, which calls these classes for each request."""

    def of(scope: Mapping[str, Any]) -> Checks:
        return checks[scope["extensions"]["connexion_routing"]["operation_id"]]

    class ParameterValidator:
        def __init__(self, parameters: Any, **options: Any) -> None:
            """Everything was compiled before."""

        def validate(self, scope: dict[str, Any]) -> None:
            scope[PARAMS] = of(scope).read_parameters(scope)

    class FormValidator:
        def __init__(self, **options: Any) -> None:
            """Everything was compiled before."""

        async def wrap_receive(self, receive: Any, *, scope: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            scope[FORM_DATA] = of(scope).read_form(scope)
            return receive, scope

    class JsonValidator:
        def __init__(self, **options: Any) -> None:
            """Everything was compiled before."""

        async def wrap_receive(self, receive: Any, *, scope: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            large = len(scope[RECEIVED].body) > _LARGE
            scope[JSON_DATA] = (
                await asyncio.to_thread(of(scope).read_json, scope) if large else of(scope).read_json(scope)
            )
            return receive, scope

    return {"parameter": ParameterValidator, "body": {FORM: FormValidator, JSON: JsonValidator}}
