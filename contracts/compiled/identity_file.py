"""Reads what contract.yaml declares about business keys (`identity`) and about answers from the feed (`feed`).

Invariant: each declared field exists. A field of a key is a text, a whole number or a truth value. It is required,
unless the declaration marks it with `?`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.canonical.model import (
    Array,
    FeedAnswer,
    Field,
    Identity,
    Kind,
    Operation,
    Pattern,
    Relation,
    Scalar,
    Struct,
    group,
)
from contracts.compiled.source import FieldReader, Source
from contracts.folder.source_locations import Path

KINDS: Final = {"correction": Kind.CORRECTED, "recall": Kind.RECALLED, "response": Kind.RESPONDED}
SAME_KEY: Final = "same-key"
_WORDS: Final = {"key", "subject", "scope", "reference", *KINDS}
_SCOPES: Final = ("all", "agency", "system")


def read_identity(read: FieldReader, at: Path, pattern: Pattern, struct: Struct | None) -> Identity | None:
    """The identity declared at `at`; None if there is none or it is wrong."""
    if read.get(at) is None or struct is None:
        return None
    if pattern is not Pattern.SUBMIT:
        read.bad(at, f"a business key of a {pattern}", "an operation that submits")
        return None
    read.only(at, _WORDS)
    key, optional = _key(read, (*at, "key"), struct)
    lists = {_list_of(path) for path in key} - {""}
    if len(lists) > 1:
        read.bad((*at, "key"), "fields of two lists", "fields of the message, and of one list at most")
        return None
    items = lists.pop() if lists else ""
    correction = read.get((*at, "correction"))
    relations = {
        kind: relation
        for word, kind in KINDS.items()
        if not (word == "correction" and correction == SAME_KEY)
        if (relation := _relation(read, (*at, word), struct)) is not None
    }
    _check_apart(read, at, relations)
    refers = any(each.refers for each in relations.values())
    reference = _texts(read, (*at, "reference")) if refers else ()
    if refers and (items or not set(key) <= set(reference) or not all(_single(struct, each) for each in reference)):
        read.bad(
            (*at, "reference"), repr(list(reference))[:60], "the fields of each reference, those of the key among them"
        )
    subject = _texts(read, (*at, "subject")) or key
    if not set(subject) <= set(key):
        read.bad((*at, "subject"), repr(list(subject))[:60], "fields of the key")
    scope = read.text((*at, "scope"), default="all")
    if scope not in _SCOPES:
        read.bad((*at, "scope"), repr(scope), "all, agency or system")
    return Identity(
        key=key,
        optional=optional,
        items=items,
        subject=subject,
        scope="agency" if scope == "agency" else "system" if scope == "system" else "all",
        corrects=correction == SAME_KEY,
        relations=relations,
        reference=reference,
    )


def read_feed(read: FieldReader, source: Source, operations: dict[str, Operation]) -> None:
    """Adds what `feed` of an operation says: how the feed answers a query, or that a dispatch has events in it. Needs
    the identities of all submissions.
    """
    for name, operation in operations.items():
        at = ("operations", name, "feed")
        if read.get(at) is None:
            continue
        if operation.pattern is Pattern.DISPATCH:
            if read.get(at) is not True:
                read.bad(at, repr(read.get(at))[:60], "true, or no feed")
            operations[name] = replace(operation, in_feed=True)
            continue
        if operation.pattern is not Pattern.QUERY:
            read.bad(at, f"an answer from the feed to a {operation.pattern}", "an operation that queries")
            continue
        read.only(at, {"operation", "key"})
        submission = operations.get(read.text((*at, "operation")))
        identity = None if submission is None else submission.identity
        if submission is None or identity is None or identity.scope != "all":
            read.bad((*at, "operation"), "no such submission", "a submission whose identity has the scope all")
            continue
        request, submitted = source.messages.get(operation.request), source.messages.get(submission.request)
        key = _texts(read, (*at, "key"))
        if request is None or submitted is None:
            continue
        fields = [_single(request, each) for each in key]
        wanted = [scalar_of(submitted, each) for each in identity.key]
        if len(fields) != len(wanted) or any(
            one is None or other is None or one.kind != other.kind or one.format != other.format
            for one, other in zip(fields, wanted, strict=True)
        ):
            read.bad((*at, "key"), repr(list(key))[:60], f"fields of {operation.request} for {', '.join(identity.key)}")
        shown = _item(submitted, identity.items) if identity.items else submitted
        if shown is None or shown.name != operation.answer:
            got = "nothing" if shown is None else shown.name
            read.bad(at, f"the feed has {got}, the answer is {operation.answer}", "the message that was handed in")
        operations[name] = replace(operation, feed=FeedAnswer(submission.name, key))


def scalar_of(struct: Struct, path: str) -> Scalar | None:
    """The single value at a path, which may lead through lists."""
    field = _fields(struct, path)
    return None if not field or not isinstance(field[-1].type, Scalar) else field[-1].type


def _key(read: FieldReader, at: Path, struct: Struct) -> tuple[tuple[str, ...], frozenset[str]]:
    declared = _texts(read, at)
    if not declared:
        read.bad(at, repr(read.get(at))[:60], "the fields of the business key")
    optional = frozenset(each.removesuffix("?") for each in declared if each.endswith("?"))
    key = tuple(each.removesuffix("?") for each in declared)
    if len(set(key)) < len(key) or key and len(optional) == len(key):
        read.bad(at, repr(list(declared))[:60], "different fields, one of them required")
    for path in key:
        fields, scalar = _fields(struct, path), scalar_of(struct, path)
        if scalar is None or scalar.kind == "number" or scalar.binary or path.count("[]") > 1:
            read.bad(at, path, "the path of a text, a whole number or a truth value, within one list at most")
        elif path not in optional and not all(each.required and not each.absentable for each in fields):
            read.bad(at, path, "a required field that cannot be absent, or its path with ?")
    return key, optional


def _relation(read: FieldReader, at: Path, struct: Struct) -> Relation | None:
    if read.get(at) is None:
        return None
    read.only(at, {"when", "refers"})
    declared = read.get((*at, "when"))
    when: dict[str, tuple[str, ...]] = {}
    for path, values in declared.items() if isinstance(declared, dict) else ():
        scalar = _single(struct, str(path))
        allowed = None if scalar is None or not scalar.values else set(scalar.values)
        if scalar is None or not isinstance(values, list) or not values:
            read.bad((*at, "when", path), repr(values)[:60], "the path of a single value, and a list of its values")
        elif allowed is not None and not {str(each) for each in values} <= allowed:
            read.bad((*at, "when", path), repr(values)[:60], "values that the schema allows")
        else:
            when[str(path)] = tuple(str(each) for each in values)
    if not when:
        read.bad((*at, "when"), repr(declared)[:60], "fields and their values")
        return None
    refers = read.get((*at, "refers"))
    if refers is not None and ((scalar := _single(struct, str(refers))) is None or scalar.kind != "string"):
        read.bad((*at, "refers"), repr(refers)[:60], "the path of a text that names earlier messages")
    return Relation(when, None if refers is None else str(refers))


def _check_apart(read: FieldReader, at: Path, relations: Mapping[Kind, Relation]) -> None:
    """A message is of one kind: two kinds need different values of a field that both name."""
    known = list(relations.values())
    for number, one in enumerate(known):
        for other in known[number + 1 :]:
            if not any(set(values).isdisjoint(other.when.get(path, values)) for path, values in one.when.items()):
                read.bad(at, "a message of two kinds", "values that only one kind has")


def _texts(read: FieldReader, at: Path) -> tuple[str, ...]:
    value: Any = read.get(at)
    if value is None:
        return ()
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        read.bad(at, repr(value)[:60], "a list of paths")
        return ()
    return tuple(value)


def _fields(struct: Struct, path: str) -> list[Field]:
    """The fields on the way to a path; empty if there is no such path, or it names a list without `[]`."""
    fields: list[Field] = []
    at: Struct | None = struct
    for step in path.split("."):
        field = None if at is None else at.field(step.removesuffix("[]"))
        if field is None or isinstance(field.type, Array) != step.endswith("[]"):
            return []
        fields.append(field)
        at = group(field.type)
    return fields


def _single(struct: Struct, path: str) -> Scalar | None:
    return None if "[]" in path else scalar_of(struct, path)


def _item(struct: Struct, items: str) -> Struct | None:
    fields = _fields(struct, items)
    return group(fields[-1].type) if fields else None


def _list_of(path: str) -> str:
    return path[: path.rfind("[]") + 2] if "[]" in path else ""
