"""A contract in force: everything compiled once, immutable, shared by all calls.

Invariant: `compile_bundle` returns only what holds; a bundle with any finding raises CONTRACT_INVALID with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakValueDictionary

from contracts.base.errors import Finding
from contracts.canonical.model import CodeTable, Contract, Sample, Struct
from contracts.canonical.validate import Validator
from contracts.codecs.cells.codec import CellCodec
from contracts.codecs.codec import Codec as Codec
from contracts.codecs.codec import Value
from contracts.codecs.mask import Mask, check_fields, compile_mask, hidden_paths, seen_paths, unshown
from contracts.compiled.loader import Source, load
from contracts.errors import CONTRACT_INVALID
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.mapping.validity import compile_in_force, explained


class CompiledContract:
    """Codecs, masks and what the faces are made from. Equal only to itself: kept by its digest."""

    def __init__(self, source: Source, digest: str) -> None:
        assert source.contract is not None
        self.contract: Contract = source.contract
        self.digest = digest
        self.namespace = self.contract.namespace
        self.messages: Mapping[str, Struct] = source.messages
        self.tables: Mapping[str, CodeTable] = source.tables
        self.samples: Sequence[Sample] = tuple(source.samples)
        used = [name for op in self.contract.operations.values() for name in (op.request, op.answer)]
        self.exchanged: tuple[str, ...] = tuple(dict.fromkeys(used))
        self.validators: Mapping[str, Validator] = {name: Validator(source.messages[name]) for name in self.exchanged}
        self._in_force = {
            name: compile_in_force(source.messages[name], source.tables, self.contract.codes_at)
            for name in self.exchanged
        }
        formats = {"canonical": Codec("canonical", "json", self.contract, self.validators, {}, {}, {}, self._in_force)}
        for name, each in sorted(source.formats.items()):
            if each.layout is not None:
                formats[name] = CellCodec(
                    name, self.contract, self.validators, each.calls, each.layout, each.cells, self._in_force
                )
                continue
            formats[name] = Codec(
                name, each.media, self.contract, self.validators, each.plans, each.calls, each.actions, self._in_force
            )
        self.formats: Mapping[str, Codec] = formats

    def codec(self, format_name: str) -> Codec:
        """LookupError for a format that the contract does not have: the registry checks that before."""
        return self.formats[format_name]

    def mask(self, message: str, *views: Sequence[str]) -> Mask | None:
        """What is seen by whoever holds all these lists of fields."""
        return compile_mask(self.messages[message], *views)

    def seen(self, message: str, *views: Sequence[str]) -> list[tuple[str, bool]]:
        return seen_paths(self.messages[message], *views)

    def unshown(self, message: str, format_name: str, fields: Sequence[str]) -> list[tuple[str, str]]:
        """What the fields hide in a message but the format could not show as not permitted: canonical path, and path in the format."""
        plan = self.codec(format_name).plans.get(message)
        return [] if plan is None else unshown(plan, hidden_paths(self.messages[message], fields))

    def check_fields(self, message: str, fields: Sequence[str]) -> list[str]:
        struct = self.messages.get(message)
        return [f"no message {message}"] if struct is None else check_fields(struct, fields)

    def validate(self, message: str, value: Value) -> list[Finding]:
        """Findings of a canonical value; none where it is valid."""
        if self.validators[message].is_valid(value):
            check = self._in_force[message]
            return [] if check is None else explained(check(value, None), lambda at, index: "")
        return self.validators[message].findings(value, lambda at, index: "", set())


_ALIVE: Final[WeakValueDictionary[str, CompiledContract]] = WeakValueDictionary()


def alive(digest: str) -> CompiledContract | None:
    """The contract of that digest, where this process has compiled it already and somebody still holds it."""
    return _ALIVE.get(digest)


def compile_bundle(bundle: Bundle) -> CompiledContract:
    """The contract of a bundle, the same object as long as somebody holds one of its digest; `CONTRACT_INVALID` lists all that is wrong with it."""
    if (made := alive(bundle.digest)) is None:
        made = _ALIVE.setdefault(bundle.digest, _compile(bundle))
    return made


def catalogue() -> list[CompiledContract]:
    """The contracts that come with the package: whoever holds them spares each registry in this process, or in a fork of it, to compile them."""
    return [compile_bundle(Bundle.from_folder(folder)) for folder in catalogue_folders()]


def _compile(bundle: Bundle) -> CompiledContract:
    source = load(bundle)
    if source.contract is not None and not source.findings.found:
        exchanged = {name for op in source.contract.operations.values() for name in (op.request, op.answer)}
        for each in source.formats.values():
            for name in each.plans:
                if name not in exchanged:
                    source.findings.add(
                        f"systems/{each.name}.yaml",
                        0,
                        name,
                        "a part, not a message",
                        "table",
                        "a message that an operation exchanges",
                    )
    if source.findings.found:
        found = source.findings.found
        raise CONTRACT_INVALID(findings=found, count=len(found))
    return CompiledContract(source, bundle.digest)
