"""Makes the suite of a contract for a called system: every rule for every operation, in one format or in all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.canonical.model import Operation, Pattern
from contracts.compiled.contract import Codec, CompiledContract
from contracts.faces.examples import Unsatisfiable, valid
from contracts.wire.jsontext import read_json
from gateway.sandbox.conformance.broken import broken, refusal
from gateway.sandbox.conformance.cases import Case, Suite
from gateway.sandbox.conformance.quoting import marked
from gateway.sandbox.conformance.rules import Kind, Rule, rules
from gateway.sandbox.simulation.probes import probes

_KINDS: Final[tuple[tuple[Kind, str], ...]] = (("rest", "json"), ("soap", "xml"))
_NOT_IN_ID: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a contract a system has; empty: all of it."""

    kinds: tuple[Kind, ...] = ()
    formats: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()

    def takes(self, kind: Kind, codec: Codec, operation: str) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.formats or codec.name in self.formats)
            and (not self.operations or operation in self.operations)
            and codec.supports(operation)
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A question and the answer to it, both canonical, as the owner of a system stated them."""

    operation: str
    ask: Any
    answer: Any


def read_known(compiled: CompiledContract, content: bytes) -> tuple[Known, ...]:
    """From a JSON list of objects with `operation`, `ask` and `answer`. ValueError if one is not valid."""
    found = []
    for number, each in enumerate(read_json(content), 1):
        operation = compiled.contract.operations.get(each["operation"])
        if operation is None:
            raise ValueError(f"{number}: operation")
        for message, value in ((operation.request, each["ask"]), (operation.answer, each["answer"])):
            if wrong := compiled.validate(message, value):
                raise ValueError(f"{number}: {wrong[0].canonical or message}: {wrong[0].rule}")
        found.append(Known(operation.name, each["ask"], each["answer"]))
    return tuple(found)


def provider_suite(compiled: CompiledContract, wanted: Wanted = Wanted(), known: tuple[Known, ...] = ()) -> Suite:
    """The suite of a system that the gateway calls. What its answers should say is tried where it is `known`."""
    cases: list[Case] = []
    for operation in compiled.contract.operations.values():
        for codec in compiled.formats.values():
            for kind, media in _KINDS:
                if media in codec.speaks and wanted.takes(kind, codec, operation.name):
                    stated = [each for each in known if each.operation == operation.name]
                    cases += _cases(compiled, codec, operation, kind, stated)
    contract = compiled.contract
    return Suite(contract.name, str(contract.version), compiled.digest, "provider", tuple(cases))


def _cases(
    compiled: CompiledContract, codec: Codec, operation: Operation, kind: Kind, stated: list[Known]
) -> Iterator[Case]:
    good = messages(compiled, codec, operation, kind)
    if not good:
        return
    used: Counter[str] = Counter()
    first = next(iter(good.values()))
    other = next((each for each in good.values() if each != first), b"")
    encrypted = compiled.contract.protection == "encrypted"
    has = {
        "body": kind == "soap" or codec.rest[operation.name].method != "GET",
        "encrypted": encrypted,
        "signed": not encrypted,
        "acts": operation.pattern is not Pattern.QUERY,
        "two": bool(other),
        "stated": bool(stated),
    }
    start = f"{kind}.{codec.name}.{operation.name}"

    def case(rule: Rule, what: str, content: bytes, breaks: str = "") -> Case:
        name = f"{start}.{rule.id}" + (f".{_NOT_IN_ID.sub('-', what.lower()).strip('-')}" if what else "")
        used[name] += 1
        title = Words(rule.title.say("vi", {"what": what}), rule.title.say("en", {"what": what}))
        ident = name if used[name] == 1 else f"{name}-{used[name]}"
        then = other if "two" in rule.needs else b""
        return Case(ident, rule, kind, codec.name, operation.name, title, content, then, breaks)

    for rule in rules().values():
        if kind not in rule.kinds or not all(has[each] for each in rule.needs):
            continue
        if rule.id == "valid":
            for name, content in good.items():
                yield case(rule, name, content)
        elif rule.id == "known":
            for number, each in enumerate(stated, 1):
                asked = expressed(codec, operation, kind, each.ask)
                if asked is not None:
                    answer = json.dumps(each.answer, ensure_ascii=False, default=str).encode()
                    yield replace(case(rule, str(number), asked), stated=answer)
        elif rule.id == "quoted":
            for value in values_of(compiled, operation).values():
                changed, texts = marked(compiled, operation.request, value)
                quoting = expressed(codec, operation, kind, changed) if texts else None
                if quoting is not None:
                    yield replace(case(rule, "", quoting), quoted=texts)
                    break
        elif rule.id == "broken":
            for what, content in broken(compiled, codec, operation, kind, first):
                yield case(rule, what, content, what)
        else:
            yield case(rule, "", first)


def messages(compiled: CompiledContract, codec: Codec, operation: Operation, kind: Kind) -> dict[str, bytes]:
    """Valid messages by name, written in the format: the contract's samples, then generated ones."""
    found: dict[str, bytes] = {}
    for name, value in values_of(compiled, operation).items():
        content = expressed(codec, operation, kind, value)
        if content is not None and content not in found.values():
            found[name] = content
    if kind == "soap" or codec.rest[operation.name].method != "GET":
        for name, body in probes(compiled, operation, codec, "xml" if kind == "soap" else "json").items():
            if refusal(codec, operation, kind, body) is None:
                found |= {} if body in found.values() else {name: body}
    return found


def values_of(compiled: CompiledContract, operation: Operation) -> dict[str, Any]:
    """Valid canonical messages by name: the contract's samples, then generated ones."""
    values: dict[str, Any] = {}
    for sample in compiled.samples:
        if sample.message == operation.request:
            twin = read_json(sample.canonical)
            for number, value in enumerate(twin if isinstance(twin, list) else [twin], 1):
                values[f"sample {sample.name}" + ("" if number == 1 else f" {number}")] = value
    with suppress(Unsatisfiable):
        values |= valid(compiled, operation.request)
    return values


def expressed(codec: Codec, operation: Operation, kind: Kind, value: Any) -> bytes | None:
    """A message as the gateway writes it; None where the format cannot express it."""
    try:
        content = written(codec, operation, kind, value)
    except Failure:
        return None
    return content if refusal(codec, operation, kind, content) is None else None


def written(codec: Codec, operation: Operation, kind: Kind, value: Any) -> bytes:
    """A message as the gateway writes it. Raises Failure where the format cannot express it."""
    if kind == "soap":
        return codec.write_xml(operation.request, value, operation.name)
    if codec.rest[operation.name].method == "GET":
        return codec.write_query(operation.request, value).encode()
    return codec.write_json(operation.request, value)
