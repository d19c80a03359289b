"""Compares two versions of one contract and sorts the changes, the highest level first."""

from __future__ import annotations

from contracts.compiled.contract import CompiledContract
from contracts.diff.changes import Change, Changes, Level
from contracts.diff.codes import compare_codes
from contracts.diff.mapping import compare_mappings
from contracts.diff.schema import Direction, SchemaComparison
from contracts.diff.sides import Version
from contracts.diff.terms import compare_terms
from contracts.diff.workflow import compare_workflows
from contracts.folder.bundle import Bundle


def differences(old: tuple[Bundle, CompiledContract], new: tuple[Bundle, CompiledContract]) -> list[Change]:
    """The changes from `old` to `new`.

    It is empty only if the files are equal, except for comments and the version in contract.yaml.
    """
    before, after = Version.of("old", *old), Version.of("new", *new)
    changes = Changes()
    tables: dict[str, set[Direction]] = {}
    schema = SchemaComparison(before, after, changes, tables)
    for operation, _ in compare_terms(before, after, changes):
        schema.message(operation.request, "request")
        schema.message(operation.answer, "answer")
    compare_codes(before, after, tables, changes)
    compare_mappings(before, after, changes)
    compare_workflows(before, after, changes)
    reported = {change.file for change in changes.by_key.values()}
    for path in sorted(before.bundle.files.keys() | after.bundle.files.keys()):
        if path not in reported and _contents(before, path) != _contents(after, path):
            changes.add("file.changed", Level.PATCH, path, (path, 1, "new" if path in after.bundle.files else "old"))
    return sorted(changes.by_key.values(), key=lambda each: (-each.level, each.file, each.line, each.code, each.where))


def _contents(version: Version, path: str) -> object:
    """The content of a file. Of contract.yaml, all but the version."""
    if path == "contract.yaml":
        return {name: value for name, value in version.documents[path].value.items() if name != "version"}
    return version.bundle.files.get(path)


def level_of(changes: list[Change]) -> Level:
    """The version step that the changes require."""
    return max((change.level for change in changes), default=Level.PATCH)
