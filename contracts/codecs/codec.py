"""One format of one contract: bytes to canonical values and back. A message is compiled once, when it is first used.

Every reader validates: its result conforms to the canonical schema, or it raises MESSAGE_INVALID with up to
20 findings in the paths of both formats. A message that the format does not map is exchanged in canonical form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import quote

from lxml import etree

from contracts.base.errors import Finding, PlainErrorType, Theirs
from contracts.canonical.findings import MAX_FINDINGS, Enough, NotExpressible, Problems, filled, kind_of
from contracts.canonical.model import Contract, Operation, RestCall, Scalar
from contracts.canonical.validate import Validator
from contracts.codecs.form import MEDIA as FORM
from contracts.codecs.form import read_form
from contracts.codecs.messages import (
    JsonMessage,
    OnFirstUse,
    XmlMessage,
    canonical_json,
    canonical_xml,
    here_in_xml,
    indexed,
    mapped_json,
    mapped_xml,
)
from contracts.codecs.normal import compile_normal
from contracts.codecs.query import guess, parse_query, query_text
from contracts.codecs.xmlproblems import XmlProblems
from contracts.errors import MESSAGE_INVALID, MESSAGE_NOT_EXPRESSIBLE, MESSAGE_WRONG_MEDIA, MESSAGE_WRONG_ROOT
from contracts.mapping import value_formats
from contracts.mapping.frames import getter, setter
from contracts.mapping.plan import Plan
from contracts.mapping.validity import InForce, day_at, explained
from contracts.wire.composed import composed
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml

Value = dict[str, Any]


_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shared:
    """What all formats of a contract's version have in common."""

    contract: Contract
    validators: Mapping[str, Validator]
    in_force: Mapping[str, InForce | None]


class Codec:
    """The readers and writers of one format. Built by `contracts.compiled.contract`, immutable afterwards."""

    def __init__(
        self,
        name: str,
        media: Literal["json", "xml", "csv", "xlsx"],
        shared: Shared,
        plans: Mapping[str, Plan] = _NONE,
        calls: Mapping[str, RestCall] = _NONE,
        actions: Mapping[str, str] = _NONE,
    ) -> None:
        contract, validators = shared.contract, shared.validators
        self.name = name
        self.media = media
        self.plans = dict(plans)
        self.mapped = frozenset(plans)
        self.speaks: frozenset[str] = frozenset({"json", "xml"}) if name == "canonical" else frozenset({media})
        self._contract = contract
        self._validators = validators
        self._in_force = shared.in_force
        self._json = OnFirstUse(self._compile_json)
        self._xml = OnFirstUse(self._compile_xml)
        self.rest: Mapping[str, RestCall] = {
            op.name: calls.get(op.name, RestCall(op.method, op.path)) for op in contract.operations.values()
        }
        self._actions = {op: actions.get(op, f"{contract.namespace}:{op}") for op in contract.operations}
        self._requests = self._roots(lambda op: op.request, "")
        self._answers = self._roots(lambda op: op.answer, "Response")
        self.soap_roots, self.soap_answer_roots = (
            {root: bodies[0] for root, bodies in every.items()} for every in (self._requests, self._answers)
        )

    @property
    def contract(self) -> Contract:
        """The version it was compiled from; for a pinned codec the older one."""
        return self._contract

    # --- calls --------------------------------------------------------------------------------------------------------

    def supports(self, operation: str) -> bool:
        """Whether the version that the codec was compiled from has the operation."""
        return operation in self._contract.operations

    def soap_action(self, operation: str) -> str:
        return self._actions[operation]

    def same_root(self, one: str, other: str) -> bool:
        """Whether two messages of this foreign XML format have one root element, and no `when` tells them apart."""
        if one == other:
            return True
        plans = (self.plans[one], self.plans[other]) if {one, other} <= self.mapped else None
        return plans is not None and plans[0].root.name == plans[1].root.name and plans[0].content is None

    def soap_body(self, element: etree._Element, answer: bool = False) -> tuple[str, str] | None:
        """Operation and message of a Body's child, by its name and, where messages share it, by what it holds."""
        bodies = (self._answers if answer else self._requests).get(str(element.tag), [])
        return next((body for body in bodies if self._means(body[1], element)), None)

    def soap_bodies(self) -> Mapping[str, str]:
        """The root element of the request of each operation that a Body's child can mean."""
        return {op: root for root, bodies in self._requests.items() for op, _ in bodies}

    def _means(self, message: str, element: etree._Element) -> bool:
        plan = self.plans.get(message)
        return plan is None or plan.content is None or plan.content.matches(element)

    def _roots(self, message_of: Callable[[Operation], str], suffix: str) -> Mapping[str, list[tuple[str, str]]]:
        """`{ns}local` of a Body's child -> operations and messages.

        Where operations share a root, it is the first one for each `when`.
        """
        roots: dict[str, list[tuple[str, str]]] = {}
        for op in self._contract.operations.values():
            message = message_of(op)
            if message in self.mapped:
                if self.media == "xml":
                    known = roots.setdefault(self.plans[message].root.name, [])
                    if not known or self.plans[message].content is not None and message not in {m for _, m in known}:
                        known.append((op.name, message))
            else:
                roots[f"{{{self._contract.namespace}}}{op.name}{suffix}"] = [(op.name, message)]
        return roots

    # --- compiling ----------------------------------------------------------------------------------------------------

    def compile_messages(self) -> None:
        """Compiles what is compiled on first use, for a process whose forks share it."""
        for message in self._validators:
            self._json[message], self._xml[message]

    def _compile_json(self, message: str) -> JsonMessage | None:
        if message not in self._validators:
            return None
        if (plan := self.plans.get(message)) is None:
            return canonical_json(self._validators[message].struct, message)
        return mapped_json(plan) if self.media == "json" else None

    def _compile_xml(self, message: str) -> XmlMessage | None:
        if message not in self._validators:
            return None
        if (plan := self.plans.get(message)) is None:
            return canonical_xml(self._contract, self._validators[message].struct, message)
        return mapped_xml(plan) if self.media == "xml" else None

    def here(self, message: str, paths: Sequence[str], root: str | None = None) -> str:
        """Where the format has these canonical paths with their indexes (`values[2].area`), as far as it has them.

        `root`: in XML, the name of the message's element where the format is the canonical one.
        """
        xml = self._xml[message] if root else None
        json = None if xml else self._json[message]
        find = here_in_xml(xml, root) if root and xml else json.here if json else None
        return "" if find is None else ", ".join(filter(None, (find(*indexed(path)) for path in paths)))

    def json_type(self, message: str) -> str:
        """The media type of the message in REST: that of JSON, or of a form where the table says so."""
        plan = self.plans.get(message)
        return FORM if plan is not None and plan.form else "application/json"

    def parsed(self, message: str, raw: bytes) -> Any:
        """The bytes of a message in REST as the JSON that the table maps."""
        plan = self.plans.get(message)
        return read_form(raw, plan) if plan is not None and plan.form else read_json(raw)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read_json(self, message: str, raw: bytes, at: float | None = None) -> Value:
        """The canonical value. `at`, here and below: time of receipt (Unix time), when codes must be in force."""
        codec = self._json[message]
        if codec is None:
            raise self._wrong_media("JSON", message)
        day = None if at is None else day_at(at)
        value, problems = codec.read(raw, day)
        return self._checked(message, value, problems, day, codec.here)

    def read_xml(self, message: str, element: etree._Element, at: float | None = None) -> Value:
        codec = self._xml[message]
        if codec is None:
            raise self._wrong_media("XML", message)
        for other in codec.also:
            element = other.read(element)
        tag = element.tag
        if tag not in codec.roots:
            raise MESSAGE_WRONG_ROOT(got=str(tag)[:200], expected=" / ".join(sorted(codec.roots)))
        if codec.content is not None and not codec.content.matches(element):
            raise MESSAGE_WRONG_ROOT(got=f"{tag}, {message} ?"[:200], expected=f"{tag}: {codec.content.words}")
        element, day = composed(element), None if at is None else day_at(at)
        check, valid = self._in_force[message], self._validators[message].is_valid
        if codec.fast is not None:
            value: Value | None = codec.fast.element(element)
            if value is not None and valid(value) and (check is None or not check(value, day)):
                return value
        into: Value = {}
        problems = XmlProblems(element, codec.prefixes)
        problems.at = day
        try:
            codec.read(element, into, None, problems)
        except Enough:
            pass
        return self._checked(message, into, problems, day, here_in_xml(codec, problems.name(tag)))

    def read_canonical_xml(self, message: str, raw: bytes) -> Value | None:
        """The message of bytes in exclusive C14N without unusual content; None for others, which need `read_xml`."""
        codec = self._xml[message]
        if codec is None or codec.fast is None or self._in_force[message] is not None:
            return None
        try:
            result = codec.fast.text(raw.decode("utf-8"))
        except UnicodeDecodeError:
            return None
        if result is None or result[0] not in codec.roots or not self._validators[message].is_valid(result[1]):
            return None
        return result[1]  # type: ignore[no-any-return]

    def read_query(self, message: str, query: str, at: float | None = None) -> Value:
        """The query string of a GET operation: each parameter once, named like the format's top-level fields."""
        struct, plan = self._validators[message].struct, self.plans.get(message)
        if plan is not None and plan.form:
            return self.read_json(message, query.encode("utf-8"), at)
        parameters = parse_query(query)
        day = None if at is None else day_at(at)
        problems = Problems(at=day)
        into: Value = {}
        json = self._json[message]
        if plan is not None and json is not None and json.fields is not None:
            raw = {name: guess(text, plan, name) for name, text in parameters.items()}
            try:
                json.fields(raw, into, None, problems)
            except Enough:
                pass
            here: Callable[[str, Any], str] = json.here
        else:
            here = lambda at, index: filled(at, index, 0)  # noqa: E731
            for name, text in parameters.items():
                field = struct.field(name)
                if problems.full:
                    break
                if field is None or not isinstance(field.type, Scalar):
                    shown = ", ".join(each.name for each in struct.fields)
                    problems.add(
                        name[:60], "", "a parameter that the operation does not have", "unknown", f"one of {shown}"
                    )
                    continue
                form = value_formats.scalar_form(field.type, "xml", strict=True)
                try:
                    into[name] = text if form.read is None else form.read(text)
                except value_formats.Bad as bad:
                    problems.add(name, name, kind_of(text), bad.rule, bad.expected)
        return self._checked(message, into, problems, day, here)

    def _checked(
        self, message: str, value: Any, problems: Problems, day: str | None, here: Callable[[str, Any], str]
    ) -> Value:
        """The value, if it is valid and its codes are in force on `day`. MESSAGE_INVALID otherwise."""
        if problems.findings or not self._validators[message].is_valid(value):
            raise self._invalid(message, value, problems, here)
        check = self._in_force[message]
        if check is not None and (ended := check(value, day)):
            raise self._failure(MESSAGE_INVALID, message, explained(ended, here))
        return value  # type: ignore[no-any-return]

    def _invalid(self, message: str, value: Any, problems: Problems, here: Callable[[str, Any], str]) -> Theirs:
        findings = list(problems.findings)
        if not problems.full:  # the schema's findings would be cut off, and are expensive
            findings += self._validators[message].findings(value, here, problems.canonical)
        return self._failure(MESSAGE_INVALID, message, findings[:MAX_FINDINGS])

    def _failure(self, error: PlainErrorType[Theirs], message: str, findings: Sequence[Finding]) -> Theirs:
        return error(
            findings=findings, message=message, contract=self._contract.name, format=self.name, count=len(findings)
        )

    def _wrong_media(self, got: str, message: str) -> Theirs:
        return MESSAGE_WRONG_MEDIA(
            format=self.name, contract=self._contract.name, expected=self.media.upper(), got=got, message=message
        )

    # --- writing ------------------------------------------------------------------------------------------------------

    def write_json(self, message: str, value: Value) -> bytes:
        codec = self._json[message]
        if codec is None:
            raise self._wrong_media("JSON", message)
        try:
            return codec.write(value).encode("utf-8")
        except NotExpressible as error:
            raise self._failure(MESSAGE_NOT_EXPRESSIBLE, message, [error.finding]) from None

    def write_xml(self, message: str, value: Value, wrapper: str | None = None) -> bytes:
        """Bytes that are their own exclusive C14N. `wrapper` names the canonical root; a format's own root stays."""
        codec = self._xml[message]
        if codec is None:
            raise self._wrong_media("XML", message)
        try:
            return codec.write(value, wrapper if wrapper is not None and codec.canonical else codec.root).encode(
                "utf-8"
            )
        except NotExpressible as error:
            raise self._failure(MESSAGE_NOT_EXPRESSIBLE, message, [error.finding]) from None

    def write_query(self, message: str, value: Value) -> str:
        """A query string for a provider that is called by GET."""
        plan = self.plans.get(message)
        if plan is not None and plan.form:
            return self.write_json(message, value).decode()
        fields = value if plan is None else read_json(self.write_json(message, value))
        for name, item in fields.items():
            if isinstance(item, (dict, list)):
                raise self._failure(
                    MESSAGE_NOT_EXPRESSIBLE,
                    message,
                    [Finding(name, name, kind_of(item), "type", "a single value in a query")],
                )
        return "&".join(f"{quote(name, safe='')}={quote(query_text(item), safe='')}" for name, item in fields.items())

    def normal(self, message: str, value: Value) -> Value:
        """`value` after a round trip through this format: itself, except for the losses that the table lists."""
        plan = self.plans.get(message)
        if plan is None:
            return value
        kept = compile_normal(plan)(value)
        if plan.derived:
            # A derived value is a function of what is written; the law covers the rest.
            back = self.read(message, self.write(message, value))
            for each in plan.derived:
                derived = getter(each.keys)(back)
                if derived is not None:
                    setter(each.keys)(kept, derived)
        return kept

    # --- by media type ------------------------------------------------------------------------------------------------

    def write(self, message: str, value: Value, media: str | None = None) -> bytes:
        """The message in the format's own media type, or in another that it supports."""
        return self.write_xml(message, value) if (media or self.media) == "xml" else self.write_json(message, value)

    def read(self, message: str, raw: bytes, media: str | None = None, at: float | None = None) -> Value:
        return (
            self.read_xml(message, parse_xml(raw), at)
            if (media or self.media) == "xml"
            else self.read_json(message, raw, at)
        )

    def losses(self, message: str) -> list[str]:
        plan = self.plans.get(message)
        return [] if plan is None else list(plan.losses)
