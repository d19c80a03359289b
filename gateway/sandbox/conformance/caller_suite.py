"""Makes the suite of a contract for a calling system, and the steps of its run (`caller_rules.yaml`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from contracts.base import safeyaml
from contracts.base.words import Words
from contracts.canonical.model import Operation, Pattern
from contracts.compiled.contract import Codec, CompiledContract
from gateway.sandbox.conformance.cases import Case, Suite
from gateway.sandbox.conformance.rules import Kind, rules
from gateway.sandbox.conformance.suite import Wanted, messages

_KINDS: Final[tuple[tuple[Kind, str], ...]] = (("rest", "json"), ("soap", "xml"))


@dataclass(frozen=True, slots=True)
class Step:
    """What she is asked to do. `most`: how many of her calls get the special answer that the step is named after."""

    name: str
    most: int
    ask: Words


@cache
def all_steps() -> Mapping[str, Step]:
    content: dict[str, Any] = safeyaml.load(Path(__file__).with_name("caller_steps.yaml").read_text("utf-8"))
    return {name: Step(name, each["most"], Words(**each["ask"])) for name, each in content.items()}


def caller_suite(compiled: CompiledContract, wanted: Wanted) -> Suite:
    """The suite of a system that calls. All rules but `accepted` are judged for one operation of each format."""
    cases: list[Case] = []
    for codec in compiled.formats.values():
        for kind, media in _KINDS:
            names = [each.name for each in compiled.contract.operations.values()
                     if media in codec.speaks and wanted.takes(kind, codec, each.name)]  # fmt: skip
            if names:
                cases += _cases(compiled, codec, kind, names)
    contract = compiled.contract
    return Suite(contract.name, str(contract.version), compiled.digest, "caller", tuple(cases))


def steps_of(suite: Suite) -> list[tuple[Step, Words]]:
    """The steps that the suite needs, each with what is asked."""
    operations = [each.operation for each in suite.cases if each.rule.id == "accepted"]
    main = next((each.operation for each in suite.cases if each.rule.id != "accepted"), "")
    needed = {each.rule.step for each in suite.cases}
    facts = {"operations": ", ".join(dict.fromkeys(operations)), "operation": main}
    return [
        (step, Words(step.ask.say("vi", facts), step.ask.say("en", facts)))
        for step in all_steps().values()
        if step.name in needed
    ]


def _cases(compiled: CompiledContract, codec: Codec, kind: Kind, names: list[str]) -> Iterator[Case]:
    operations = [compiled.contract.operations[each] for each in names]
    main = next((each for each in operations if each.pattern is not Pattern.QUERY), operations[0])
    for rule in rules("caller").values():
        if kind not in rule.kinds or "acts" in rule.needs and main.pattern is Pattern.QUERY:
            continue
        for operation in operations if rule.id == "accepted" else [main]:
            facts = {"what": operation.name}
            title = Words(rule.title.say("vi", facts), rule.title.say("en", facts))
            content = _sample(compiled, codec, operation, kind)
            ident = f"{kind}.{codec.name}.{operation.name}.{rule.id}"
            yield Case(ident, rule, kind, codec.name, operation.name, title, content)


def _sample(compiled: CompiledContract, codec: Codec, operation: Operation, kind: Kind) -> bytes:
    """A message that she may send."""
    return next(iter(messages(compiled, codec, operation, kind).values()), b"")
