"""Answers what schema and samples allow: a sample of the contract, with the values of what was asked and what is kept.

Samples come before generated messages. Of several, the one that repeats most of the question wins, then the one that
says most. Invariant: an answer is valid by its schema, and its format can express it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.canonical.model import Operation, Pattern, Struct
from contracts.compiled.contract import CompiledContract
from contracts.faces.examples import Maker, Unsatisfiable
from contracts.wire.jsontext import read_json
from gateway.sandbox.simulation.echoes import pairs, value_at, with_value
from gateway.sandbox.simulation.memory import Memory
from gateway.sandbox.simulation.places import Place

Message = dict[str, Any]
_NUMBERED: Final = ("MP-{:06d}", "{:06d}", "{:08d}", "MP{:04d}")


class NoAnswer(Exception):
    """The contract allows no answer that the format can express."""


@lru_cache(maxsize=512)
def samples(compiled: CompiledContract, message: str) -> tuple[Message, ...]:
    """The contract's own samples of a message, in canonical form."""
    found: list[Message] = []
    for sample in compiled.samples:
        if sample.message == message:
            twin = read_json(sample.canonical)
            found += twin if isinstance(twin, list) else [twin]
    return tuple(each for each in found if not compiled.validate(message, each))


@lru_cache(maxsize=512)
def examples(compiled: CompiledContract, message: str) -> tuple[Message, ...]:
    """Valid messages in canonical form: samples of the contract, then generated ones."""
    found = list(samples(compiled, message))
    maker, struct = Maker(compiled.tables), compiled.messages[message]
    for make in (maker.lean, maker.full, maker.smallest):
        with suppress(Unsatisfiable):
            found.append(make(struct))
    return tuple(each for each in found if not compiled.validate(message, each))


class Answers:
    """Answers of one simulated system. `memory` is what it was told."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def answer(self, place: Place, asked: Message, number: int, media: str, whose: str = "") -> Message:
        """Carries out one message; `number` counts them, `whose` is a tenant. Raises NoAnswer."""
        compiled, operation = place.compiled, place.operation
        known = None
        if operation.pattern is Pattern.QUERY:
            known = self.memory.find(compiled, operation, asked, whose)
        best: tuple[tuple[bool, int, int], Message] | None = None
        own = len(samples(compiled, operation.answer))
        for place_of, example in enumerate(examples(compiled, operation.answer)):
            made, repeated = self._laid(compiled, operation, example, asked, known)
            made = _numbered(compiled, operation, made, number)
            with suppress(Failure):
                place.codec.write(operation.answer, made, media)
                score = (place_of < own, repeated, len(json.dumps(made, default=str)))
                if best is None or score > best[0]:
                    best = (score, made)
        if best is None:
            raise NoAnswer(f"{place.contract} {operation.name} in {place.codec.name}")
        if operation.pattern is not Pattern.QUERY:
            self.memory.keep(compiled, operation, asked, whose)
        return best[1]

    def _laid(
        self,
        compiled: CompiledContract,
        operation: Operation,
        example: Message,
        asked: Message,
        known: tuple[Struct, Message] | None,
    ) -> tuple[Message, int]:
        """The example with what is kept and what was asked laid on it, and how many values stayed."""
        target = compiled.messages[operation.answer]
        if known is not None and known[0] == target:
            return known[1], 1000
        made, repeated = example, 0
        for struct, content in ((known or (None, None)), (compiled.messages[operation.request], asked)):
            if struct is None or content is None:
                continue
            for source, to in pairs(struct, target):
                value = value_at(content, source)
                if value is None:
                    continue
                changed = with_value(made, to, value)
                if value_at(changed, to) == value and not compiled.validate(operation.answer, changed):
                    made, repeated = changed, repeated + 1
        return made, repeated


def _numbered(compiled: CompiledContract, operation: Operation, made: Message, number: int) -> Message:
    """With a key of its own, where the contract says which field of the answer is one."""
    if operation.key is None or not operation.in_feed:
        return made
    for form in _NUMBERED:
        changed = with_value(made, tuple(operation.key.split(".")), form.format(number))
        if not compiled.validate(operation.answer, changed):
            return changed
    return made


def messages(compiled: CompiledContract, operation: Operation) -> Iterator[Message]:
    """What a system may send by this operation: samples first."""
    yield from examples(compiled, operation.request)
