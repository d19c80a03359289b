"""An OpenAPI 3.0 document as HTML for people: each operation with its parameters, bodies and answers, then the schemas.

Invariant: every text is escaped, because a document may hold words of another agency.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from contracts.base.words import Language
from contracts.compiled.contract import CompiledContract
from contracts.faces.pages.page import STYLE
from contracts.faces.pages.words import head, say, table

_METHODS: Final = ("get", "put", "post", "patch", "delete")
_LIMITS: Final = (
    "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "default",
)  # fmt: skip
_MOST_SHOWN: Final = 12  # values of an enumeration
_DEEPEST: Final = 6  # schemas that are written inside one another


def page(compiled: CompiledContract, document: Mapping[str, Any], language: Language) -> str:
    """The REST operations of a contract as a page. `document`: its OpenAPI."""
    contract = compiled.contract
    title, here = escape(contract.title.say(language, {})), f"/contracts/{escape(contract.name)}"
    other: Language = "en" if language == "vi" else "vi"
    return "\n".join(
        [
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width"><title>{say("calls-rest", language)}: {title}</title>'
            f"<style>{STYLE}</style></head><body>",
            f'<p><a href="{here}?lang={language}">{title}</a> · <a href="{here}/openapi.json">OpenAPI</a> · '
            f'<a href="{here}/operations?lang={other}" hreflang="{other}">'
            f"{'English' if other == 'en' else 'Tiếng Việt'}</a></p>",
            f"<h1>{say('calls-rest', language)} <small><code>{escape(contract.name)}</code></small></h1>",
            *operations(document, language),
            "</body></html>\n",
        ]
    )


def operations(document: Mapping[str, Any], language: Language) -> list[str]:
    """HTML without a head: a list of the operations, each operation by its `operationId`, each schema by its name."""
    page = _Page(document, language)
    found = [
        (path, method, item, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    parts = ["<ul>"]
    for path, method, _, operation in found:
        name = escape(operation["operationId"])
        parts.append(
            f'<li><a href="#{name}"><code>{method.upper()} {escape(path)}</code></a> '
            f"{escape(operation.get('summary', ''))}</li>"
        )
    parts.append("</ul>")
    for path, method, item, operation in found:
        parts += page.operation(path, method, item, operation)
    schemas = document.get("components", {}).get("schemas", {})
    parts.append(f"<h2>{say('schemas', language)}</h2>")
    for name, schema in schemas.items():
        parts.append(f'<h3 id="schema-{escape(name)}"><code>{escape(name)}</code></h3>')
        parts += page.schema(schema)
    return parts


class _Page:
    def __init__(self, document: Mapping[str, Any], language: Language) -> None:
        self._document, self._language = document, language

    def operation(self, path: str, method: str, item: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
        name, language = escape(operation["operationId"]), self._language
        yield f'<h2 id="{name}"><code>{name}</code></h2>'
        yield f"<p><code>{method.upper()} {escape(path)}</code></p>"
        yield from (f"<p>{escape(operation[word])}</p>" for word in ("summary", "description") if operation.get(word))
        security = operation.get("security", self._document.get("security", []))
        proofs = sorted({each for one in security for each in one})
        yield f"<p>{say('security', language)}: {escape(', '.join(proofs)) or say('public', language)}</p>"
        parameters = [self._of(each) for each in (*item.get("parameters", ()), *operation.get("parameters", ()))]
        if parameters:
            yield f"<h3>{say('parameters', language)}</h3>"
            rows = [
                (
                    f"<code>{escape(each['name'])}</code>",
                    escape(each["in"]),
                    escape(each.get("description", "")),
                    self._required(bool(each.get("required"))) + self.type(each.get("schema", {})),
                )
                for each in parameters
            ]
            yield table(head(("name", "where", "meaning", "rule"), language), rows)
        if "requestBody" in operation:
            body = self._of(operation["requestBody"])
            yield f"<h3>{say('request', language)}</h3>"
            yield from self._content(body.get("content", {}))
        yield f"<h3>{say('answer', language)}</h3>"
        answers: list[tuple[str, ...]] = []
        for status, written in operation.get("responses", {}).items():
            answer = self._of(written)
            media = "<br>".join(
                f"<code>{escape(each)}</code> {self.type(content.get('schema', {}))}"
                for each, content in answer.get("content", {}).items()
            )
            answers.append((f"<code>{escape(str(status))}</code>", escape(answer.get("description", "")), media))
        yield table(["HTTP", *head(("meaning", "content"), language)], answers)

    def _content(self, content: Mapping[str, Any]) -> Iterator[str]:
        for media, each in content.items():
            yield f"<p><code>{escape(media)}</code> {self.type(each.get('schema', {}))}</p>"
            examples = {name: self._of(one).get("value") for name, one in each.get("examples", {}).items()}
            for name, value in ({"": each["example"]} if "example" in each else examples).items():
                title = escape(name) or say("example", self._language)
                text = (
                    value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=float)
                )
                yield f"<details><summary>{title}</summary><pre><code>{escape(text)}</code></pre></details>"

    def schema(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """A schema with a name: its fields as a table."""
        if schema.get("description"):
            yield f"<p>{escape(schema['description'])}</p>"
        if "properties" not in schema:
            yield f"<p>{self.type(schema)}</p>"
            return
        required = schema.get("required", ())
        rows = [
            (
                f"<code>{escape(name)}</code>",
                escape(". ".join(each[word] for word in ("title", "description") if each.get(word))),
                self._required(name in required) + self.type(each),
            )
            for name, each in schema["properties"].items()
        ]
        yield table(head(("field", "meaning", "rule"), self._language), rows)

    def type(self, schema: Mapping[str, Any], depth: int = 0) -> str:
        """A schema in one cell."""
        if "$ref" in schema:
            name = escape(schema["$ref"].rpartition("/")[2])
            return f'<a href="#schema-{name}">{name}</a>'
        if depth == _DEEPEST:
            return "…"
        for word in ("oneOf", "anyOf", "allOf"):
            if word in schema:
                between = " + " if word == "allOf" else " | "
                return between.join(self.type(each, depth + 1) for each in schema[word])
        text = escape(str(schema.get("type", "")))
        if schema.get("format"):
            text += f" ({escape(str(schema['format']))})"
        if "items" in schema:
            text = f"[{self.type(schema['items'], depth + 1)}]"
        elif "properties" in schema:
            inner = (f"{escape(name)}: {self.type(each, depth + 1)}" for name, each in schema["properties"].items())
            text = "{" + ", ".join(inner) + "}"
        return text + "".join(f" {word} <code>{_value(schema[word])}</code>" for word in _LIMITS if word in schema)

    def _of(self, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference of the document itself leads to; it leads to no other one."""
        found: Any = written
        if "$ref" in written:
            found = self._document
            for step in written["$ref"].removeprefix("#/").split("/"):
                found = found[step]
        return found  # type: ignore[no-any-return]

    def _required(self, required: bool) -> str:
        return f"<strong>{say('required', self._language)}</strong> " if required else ""


def _value(value: object) -> str:
    if not isinstance(value, list):
        return escape(str(value))
    shown = ", ".join(map(str, value[:_MOST_SHOWN]))
    return escape(shown + (", …" if len(value) > _MOST_SHOWN else ""))
