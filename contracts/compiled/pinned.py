"""The codec of an older minor version, for a system pinned to it.

Inside the gateway a message always follows the contract in force. Requests of a pinned system are read and validated by
the old version's codec. Messages to it lose the fields that the old version does not have.
This is sound because publishing rejects breaking changes (`contracts.diff`): what the old version reads is valid in the
new. A message that the old version cannot express is rejected: `message.not-expressible`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts.base.errors import Finding
from contracts.canonical.findings import Enough, Problems
from contracts.canonical.integers import compile_integers
from contracts.canonical.model import Array, Choice, RecursiveRef, Struct, Type
from contracts.canonical.validate import Validator
from contracts.codecs.codec import Codec, Value
from contracts.compiled.contract import CompiledContract
from contracts.errors import MESSAGE_NOT_EXPRESSIBLE

Project = Callable[[Value], Value]


class PinnedCodec(Codec):
    """Shares everything compiled for the old version's codec."""

    def __init__(self, codec: Codec, validators: Mapping[str, Validator]) -> None:
        self.__dict__.update(codec.__dict__)
        self._pinned = {message: (projection(validator.struct), validator) for message, validator in validators.items()}
        self._whole = {message: compile_integers(validator.struct) for message, validator in validators.items()}

    def write_json(self, message: str, value: Value) -> bytes:
        return super().write_json(message, self._downgraded(message, value))

    def write_xml(self, message: str, value: Value, wrapper: str | None = None) -> bytes:
        return super().write_xml(message, self._downgraded(message, value), wrapper)

    def write_query(self, message: str, value: Value) -> str:
        return super().write_query(message, self._downgraded(message, value))

    def projection(self, message: str) -> Project:
        return self._pinned[message][0]

    def _downgraded(self, message: str, value: Value) -> Value:
        project, validator = self._pinned[message]
        value = project(value)
        problems, whole = Problems(), self._whole[message]
        if whole is not None:  # a field that was widened may hold `1.0`: an integer of JSON Schema, not of a decoder
            try:
                whole(value, problems)
            except Enough:
                pass
        if problems.findings or not validator.is_valid(value):
            findings = problems.findings or validator.findings(value, lambda at, index: "", set())
            raise self._failure(
                MESSAGE_NOT_EXPRESSIBLE,
                message,
                [Finding("", f.canonical, f.got, f.rule, f.expected) for f in findings],
            )
        return value


def pinned(contract: CompiledContract, format_name: str) -> PinnedCodec:
    """The codec of the older version `contract`, for values of the one in force."""
    return PinnedCodec(contract.codec(format_name), contract.validators)


def projection(struct: Struct) -> Project:
    """A function that copies a message with only the fields of `struct`. Recursive types are followed at run time."""
    projections: dict[str, Project] = {}

    def of_group(each: Struct | Choice) -> Project:
        projections[each.name] = project = of_struct(each) if isinstance(each, Struct) else of_choice(each)
        return project

    def of_struct(each: Struct) -> Project:
        inner = {field.name: of_type(field.type) for field in each.fields}

        def project(value: Value) -> Value:
            return {name: below(item) for name, item in value.items() if (below := inner.get(name)) is not None}

        return project

    def of_choice(each: Choice) -> Project:
        branches = {word: of_group(branch.struct) for branch in each.branches for word in branch.values}

        def project(value: Value) -> Value:
            of_branch = branches.get(value[each.discriminator])
            return value if of_branch is None else of_branch(value)  # the validator rejects a newer branch

        return project

    def of_type(each: Type) -> Callable[[Any], Any]:
        if isinstance(each, RecursiveRef):
            return lambda value: value if "absent" in value else projections[each.name](value)
        if isinstance(each, Array):
            item = of_type(each.items)
            return (
                _same
                if item is _same
                else lambda value: value if isinstance(value, dict) else [item(one) for one in value]
            )
        if not isinstance(each, Struct | Choice):
            return _same
        project = of_group(each)
        return lambda value: value if "absent" in value else project(value)

    return of_group(struct)


def _same(value: Any) -> Any:
    return value
