"""Reads OpenAPI 3.0 and 3.1 (JSON or YAML) as an interface: operations with JSON bodies or with parameters.

https://spec.openapis.org/oas/v3.0.3, v3.1.0.
Invariant: every operation that is left out has a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from contracts.importers.documents import Documents, Place
from contracts.importers.errors import IMPORT_NOTHING, IMPORT_UNREADABLE
from contracts.importers.formats.jsonschema import Reader, listed
from contracts.importers.shape import MAX_CALLS, MAX_PARTS, Call, Group, Interface, Message, Note, Value, nothing
from contracts.importers.source import Files

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_FORM: Final = "application/x-www-form-urlencoded"
_OF_HTTP: Final = frozenset(  # of the transport, of its proof and of who calls, never of the message
    ("accept", "accept-encoding", "accept-language", "authorization", "content-digest", "content-length")
    + ("content-type", "cookie", "date", "digest", "host", "idempotency-key", "if-match", "if-none-match", "prefer")
    + ("signature", "signature-input", "traceparent", "tracestate", "user-agent", "x-api-key", "x-correlation-id")
    + ("x-request-id",)
)
_WEBHOOK: Final = "webhook"  # in place of a method: the system calls


def import_openapi(files: Files, operations: Sequence[str] = ()) -> Interface:
    """Reads the operations named by operationId or as `get /path`; all, where none is named.

    Raises IMPORT_NOTHING, IMPORT_TOO_LARGE or IMPORT_UNREADABLE.
    """
    return _OpenApi(files).interface(operations)


@dataclass(slots=True)
class _OpenApi:
    files: Files
    notes: list[Note] = field(default_factory=list)
    documents: Documents = field(init=False)
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.files, self.notes)
        self.reader = Reader(self.documents, self.notes)

    def interface(self, operations: Sequence[str]) -> Interface:
        top = self.documents.main()
        version = str(top.node.get("openapi", top.node.get("swagger", "")))
        if not version.startswith(("3.0", "3.1")):
            raise IMPORT_UNREADABLE(file=self.files.main, why=f"OpenAPI {version or '?'}, not 3.0 or 3.1")
        available = dict(self._operations(top))
        unknown = [each for each in operations if each not in available]
        if unknown:
            raise IMPORT_NOTHING(file=self.files.main, why=f"{', '.join(unknown)} ∉ {', '.join(available)}"[:400])
        calls: list[Call] = []
        for name, (method, path, at, shared) in available.items():
            if operations and name not in operations:
                continue
            self.files.reading(name)
            if len(calls) >= MAX_CALLS or self.reader.parts > MAX_PARTS:
                self.notes.append(Note("too-many", at.shown(), name))
            elif (call := self._call(name, method, path, at, shared)) is not None:
                calls.append(call)
        if not calls:
            raise nothing(self.files.main, self.notes if available else [*self.notes, Note("no-path", self.files.main)])
        info = top.get("info")
        title = str(info.node.get("title", "")) if info is not None else ""
        return Interface(
            name=title or calls[0].name,
            media="json",
            calls=calls,
            notes=list(dict.fromkeys(self.notes)),
            documents=list(self.files.seen),
        )

    def _operations(self, top: Place) -> Iterator[tuple[str, tuple[str, str, Place, list[Place]]]]:
        paths = top.get("paths")
        for path, item in self.documents.members(paths):
            shared = self.documents.of_list(item, "parameters")
            for method in _METHODS:
                at = item.get(method)
                if at is not None:
                    name = str(at.node.get("operationId") or f"{method} {path}")
                    yield name, (method, path, at, shared)
        for name, item in self.documents.members(top.get("webhooks")):
            for method in _METHODS:
                at = item.get(method)
                if at is not None and at.get("requestBody") is not None:
                    yield str(at.node.get("operationId") or name), (_WEBHOOK, "", at, [])

    def _call(self, name: str, method: str, path: str, at: Place, shared: list[Place]) -> Call | None:
        parameters = {
            (str(each.node.get("name")), str(each.node.get("in"))): each
            for each in (*shared, *self.documents.of_list(at, "parameters"))
        }
        if "{" in path:
            self.notes.append(Note("path-parameter", at.shown(), path))
        if method == _WEBHOOK:
            self.notes.append(Note("webhook", at.shown(), name))
        elif method not in ("get", "post"):
            self.notes.append(Note("method", at.shown(), f"{method.upper()} {path}"))
        self.reader.start_message("request")
        body = at.get("requestBody")
        if body is None:
            request: Message | None = Message(f"{name} request", None, self._parameters(name, parameters))
            for (parameter, where), place in parameters.items():
                if where == "header" and request is not None and parameter in {p.name for p in request.body.parts}:
                    self.notes.append(Note("moved", place.shown(), f"{parameter} ({where})"))
        else:
            request = self._message(f"{name} request", body, forms=True)
            if request is not None:
                request = self._beside(name, request, parameters)
        response = None if method == _WEBHOOK else self._response(at)
        self.reader.start_message("answer")
        answer = None if response is None else self._message(f"{name} answer", response)
        if request is None or response is not None and answer is None:
            return None
        if response is None and method != _WEBHOOK:
            self.notes.append(Note("one-way", at.shown(), name))
        title = str(at.node.get("summary") or at.node.get("description") or "")
        called = method in ("get", "post") and "{" not in path and path.isascii() and path.startswith("/")
        return Call(
            name,
            request,
            answer,
            " ".join(title.split())[:200],
            method=("GET" if method == "get" else "POST") if called else None,
            path=path if called else None,
        )

    def _beside(self, name: str, request: Message, parameters: Mapping[tuple[str, str], Place]) -> Message:
        """The message with the parameters beside its body as members of it, where it has no such member."""
        group, known = self._parameters(name, parameters), {part.name for part in request.body.parts}
        is_list = any(not part.step or part.step.startswith("[") for part in request.body.parts)
        taken = [] if is_list else [part for part in group.parts if part.name not in known]
        for (parameter, where), place in parameters.items():
            if parameter in {part.name for part in group.parts}:
                moved = parameter in {part.name for part in taken}
                self.notes.append(Note("moved" if moved else "parameter", place.shown(), f"{parameter} ({where})"))
        return replace(request, body=replace(request.body, parts=[*request.body.parts, *taken]))

    def _parameters(self, name: str, parameters: Mapping[tuple[str, str], Place]) -> Group:
        group = Group(name)
        for (parameter, where), place in parameters.items():
            schema = place.get("schema")
            again = any(part.name == parameter for part in group.parts)  # in the path and in the query
            spoken = where == "header" and parameter.lower() not in _OF_HTTP
            if where not in ("query", "path") and not spoken or schema is None or again:
                self.notes.append(Note("parameter", place.shown(), f"{parameter} ({where})"))
                continue
            part = self.reader.member(parameter, schema, bool(place.node.get("required")))
            if part is None:
                continue
            if part.many or not isinstance(part.content, Value):
                self.notes.append(Note("parameter", place.shown(), f"{parameter} ({where})"))
                continue
            part.title = part.title or " ".join(str(place.node.get("description", "")).split())[:200]
            group.parts.append(part)
        return group

    def _response(self, at: Place) -> Place | None:
        """The success response, or the default one; None where it has no content."""
        responses = dict(self.documents.members(at.get("responses")))
        good = sorted(code for code in responses if code.startswith("2")) or [
            code for code in responses if code == "default"
        ]
        return responses[good[0]] if good and responses[good[0]].get("content") is not None else None

    def _message(self, name: str, at: Place, *, forms: bool = False) -> Message | None:
        """The message of a request body or response: its JSON content, or an empty group without content.

        `forms`: else a form.
        """
        content = dict(self.documents.members(at.get("content")))
        if "application/jose" in content:  # our own faces describe encrypted content there
            content = dict(self.documents.members(content["application/jose"].get("x-lgsp-content"))) or content
        if not content:
            return Message(name, None, Group(name))
        types = {each: each.partition(";")[0].strip() for each in content}
        json = (each for each, of in types.items() if of.endswith(("/json", "+json")) or of in ("*/*", "application/*"))
        form = (each for each, of in types.items() if forms and of == _FORM)
        media = next(json, None) or next(form, None)
        schema = None if media is None else content[media].get("schema")
        if media is None or schema is None:
            self.notes.append(Note("media" if media is None else "no-schema", at.shown(), ", ".join(content)))
            return None
        part = self.reader.content(schema, name)
        if part.many and part.content is not None and not part.keyed:
            return Message(name, None, listed(part))
        if part.many or not isinstance(part.content, Group):
            open_object = part.content is None and schema.node.get("type") == "object"
            self.notes.append(Note("open-object" if open_object else "root", schema.shown(), name))
            return None
        if types[media] == _FORM:
            return Message(name, None, self._form(part.content, schema), form=True)
        return Message(name, None, part.content)

    def _form(self, group: Group, at: Place) -> Group:
        """The parts that a form has: values, lists of values, and groups of such. It has no null."""
        kept = []
        for part in group.parts:
            if isinstance(part.content, Value):
                kept.append(replace(part, nil=False, nil_items=False, least=0 if part.nil else part.least))
            elif isinstance(part.content, Group) and (not part.many or part.keyed):
                kept.append(replace(part, nil=False, content=self._form(part.content, at)))
            else:
                self.notes.append(Note("form", at.shown(), part.name))
        return replace(group, parts=kept)
