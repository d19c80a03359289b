"""Compiles a bundle into an immutable contract that all calls share.

Invariant: `compile_bundle` returns only valid contracts; any finding raises CONTRACT_INVALID with all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from weakref import WeakValueDictionary

from contracts.base.errors import Finding
from contracts.canonical.model import CodeTable, Contract, Kind, Operation, Sample, Struct
from contracts.canonical.personal import personal_paths
from contracts.canonical.validate import Validator
from contracts.codecs.cells.codec import CellCodec
from contracts.codecs.codec import Codec as Codec
from contracts.codecs.codec import Shared, Value
from contracts.codecs.mask import Leaf, Mask, check_fields, compile_mask, hidden_paths, leaves, unhidable, unshown
from contracts.compiled.identity import kind_of
from contracts.compiled.loader import load, load_terms
from contracts.compiled.source import Source
from contracts.errors import CONTRACT_INVALID
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.mapping.validity import compile_in_force, explained
from contracts.wire.jsontext import read_json
from contracts.workflow.model import Workflow


class CompiledContract:
    """Validators and codecs of a contract. Equal only to itself; identified by its digest."""

    def __init__(self, source: Source, digest: str) -> None:
        assert source.contract is not None
        self.contract: Contract = source.contract
        self.digest = digest
        self.namespace = self.contract.namespace
        self.messages: Mapping[str, Struct] = source.messages
        self.tables: Mapping[str, CodeTable] = source.tables
        self.workflow: Workflow | None = source.workflow
        self.samples: Sequence[Sample] = tuple(sorted(source.samples, key=self._follows_another))
        used = [name for op in self.contract.operations.values() for name in (op.request, op.answer)]
        self.exchanged: tuple[str, ...] = tuple(dict.fromkeys(used))
        self.validators: Mapping[str, Validator] = {name: Validator(source.messages[name]) for name in self.exchanged}
        self._personal = {name: personal_paths(source.messages[name]) for name in self.exchanged}
        self._in_force = {
            name: compile_in_force(source.messages[name], source.tables, self.contract.codes_at)
            for name in self.exchanged
        }
        shared = Shared(self.contract, self.validators, self._in_force)
        formats = {"canonical": Codec("canonical", "json", shared)}
        for name, each in sorted(source.formats.items()):
            if each.layout is not None:
                formats[name] = CellCodec(name, shared, each.calls, each.layout, each.cells)
                continue
            formats[name] = Codec(name, each.media, shared, each.plans, each.calls, each.actions)
        self.formats: Mapping[str, Codec] = formats

    def _follows_another(self, sample: Sample) -> bool:
        """Whether a sample corrects, recalls or answers an earlier message. Such samples come last, since whoever sends
        the first one has sent nothing before."""
        identities = [each.identity for each in self.contract.operations.values() if each.request == sample.message]
        if not any(each is not None and each.relations for each in identities):
            return False
        content = read_json(sample.canonical)
        messages = content if isinstance(content, list) else [content]
        return any(
            each is not None and kind_of(each, message) is not Kind.SUBMITTED
            for each in identities
            for message in messages
        )

    def compile_messages(self) -> None:
        """Compiles every message in every format, for a process whose forks share it; else each on its first use."""
        for each in self.formats.values():
            each.compile_messages()

    def codec(self, format_name: str) -> Codec:
        """The codec of a format. LookupError for a format that the contract does not have."""
        return self.formats[format_name]

    def mask(self, message: str, *views: Sequence[str]) -> Mask | None:
        """The mask of a reader who has all these lists of fields."""
        return compile_mask(self.messages[message], *views)

    def leaves(self, message: str, *views: Sequence[str]) -> list[Leaf]:
        """Every single value of a message, with its mark, and whether a reader who has all these lists sees it."""
        return leaves(self.messages[message], *views)

    def personal(self, message: str) -> Mapping[str, str]:
        """Canonical path of each personal value of a message (`units[].phone`) -> `basic` or `sensitive`."""
        return self._personal[message]

    def unshown(self, message: str, format_name: str, fields: Sequence[str]) -> list[tuple[str, str]]:
        """Hidden fields that the format cannot show as not permitted: canonical path, path in the format."""
        plan = self.codec(format_name).plans.get(message)
        return [] if plan is None else unshown(plan, hidden_paths(self.messages[message], fields))

    def unshown_request(
        self, operation: Operation, codec: Codec, *views: Sequence[str], query: bool
    ) -> list[tuple[str, str]]:
        """Hidden fields of a request that a called system's codec cannot show as not permitted.

        `query`: whether that system is asked by query strings.
        """
        struct, plan = self.messages[operation.request], codec.plans.get(operation.request)
        hidden, found = hidden_paths(struct, *views), [(path, path) for path in unhidable(struct, *views)]
        if plan is not None:
            return found + unshown(plan, hidden)
        in_query = query and codec.rest[operation.name].method == "GET"
        return found + [(path, f"?{path}") for path in hidden] if in_query else found  # a query has single values only

    def check_fields(self, message: str, fields: Sequence[str], beside: Iterable[str] = ()) -> list[str]:
        struct = self.messages.get(message)
        shown = [self.messages[each] for each in beside if each in self.messages]
        return [f"no message {message}"] if struct is None else check_fields(struct, fields, shown)

    def validate(self, message: str, value: Value) -> list[Finding]:
        """Findings of a canonical value; empty if it is valid."""
        if self.validators[message].is_valid(value):
            check = self._in_force[message]
            return [] if check is None else explained(check(value, None), lambda at, index: "")
        return self.validators[message].findings(value, lambda at, index: "", set())


_ALIVE: Final[WeakValueDictionary[str, CompiledContract]] = WeakValueDictionary()


def alive(digest: str) -> CompiledContract | None:
    """The contract of that digest, if this process has compiled it and still uses it."""
    return _ALIVE.get(digest)


def compile_bundle(bundle: Bundle) -> CompiledContract:
    """The contract of a bundle; the same object while one of its digest is in use.

    CONTRACT_INVALID with all findings.
    """
    if (contract := alive(bundle.digest)) is None:
        contract = _ALIVE.setdefault(bundle.digest, _compile(bundle))
    return contract


def terms_of(bundle: Bundle) -> Contract | None:
    """The contract of a bundle, compiled or not: what reads no message needs no codec. None if it cannot be read."""
    known = alive(bundle.digest)
    return load_terms(bundle).contract if known is None else known.contract


def catalogue() -> list[CompiledContract]:
    """The contracts of the package. While referenced, no registry of this process or a fork compiles them again."""
    return [compile_bundle(Bundle.from_folder(folder)) for folder in catalogue_folders()]


def _compile(bundle: Bundle) -> CompiledContract:
    source = load(bundle)
    if source.contract is not None and not source.findings.items:
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
    if source.findings.items:
        findings = source.findings.items
        raise CONTRACT_INVALID(findings=findings, count=len(findings))
    return CompiledContract(source, bundle.digest)
