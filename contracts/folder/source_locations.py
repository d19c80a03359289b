"""Reads YAML and JSON files with the line of every value, so that a finding can name file and line.

Plain data only: YAML tags, duplicate keys, and aliases that expand without bound are rejected.
Invariant: reading never raises; faults become findings, and the reader gets None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from contracts.base.errors import Finding, Theirs
from contracts.base.safeyaml import LOADER
from contracts.wire import jsontext

Path = tuple[str | int, ...]

_PLAIN: Final = frozenset({"str", "int", "float", "bool", "null", "map", "seq"})
_MAX_DEPTH: Final = jsontext.MAX_DEPTH
_MAX_VALUES: Final = 100_000  # values of a file
_MAX_FINDINGS: Final = 100


@dataclass(slots=True)
class Findings:
    """Collects the faults of one contract folder."""

    items: list[Finding] = field(default_factory=list)

    def add(self, file: str, line: int, where: str, got: str, rule: str, expected: str) -> None:
        self.items.append(Finding(f"{file}:{line}" if line else file, where, got, rule, expected))


@dataclass(frozen=True, slots=True)
class Located:
    """A document and the line of each of its values."""

    file: str
    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest enclosing path that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(file: str, raw: bytes, findings: Findings) -> Located | None:
    """The document with its lines; None with findings if it is invalid."""
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=LOADER)
    except UnicodeDecodeError:
        findings.add(file, 0, "", "bytes that are not UTF-8", "yaml", "UTF-8")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        findings.add(
            file,
            mark.line + 1 if mark else 0,
            "",
            str(getattr(error, "problem", None) or "not YAML"),
            "yaml",
            "well-formed YAML",
        )
        return None
    if node is None:
        findings.add(file, 0, "", "an empty file", "yaml", "a mapping")
        return None
    lines: dict[Path, int] = {}
    value = _plain(file, node, (), lines, findings)
    return Located(file, value, lines)


def _plain(file: str, node: Any, path: Path, lines: dict[Path, int], findings: Findings) -> Any:
    lines[path] = line = node.start_mark.line + 1
    kind = str(node.tag).rsplit(":", 1)[-1]
    if len(path) > _MAX_DEPTH or len(lines) > _MAX_VALUES:  # an alias may contain itself, or multiply what is written
        if len(findings.items) < _MAX_FINDINGS:
            findings.add(
                file,
                line,
                "",
                "values without end",
                "yaml",
                f"at most {_MAX_DEPTH} levels and {_MAX_VALUES} values, aliases opened",
            )
        return None
    if kind not in _PLAIN:
        # A date or another YAML 1.1 type: kept as its text.
        if isinstance(node, yaml.ScalarNode):
            return node.value
        findings.add(file, line, "", f"the tag {node.tag}", "yaml", "plain data")
        return None
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in mapping:
                findings.add(
                    file,
                    key_node.start_mark.line + 1,
                    ".".join(map(str, (*path, key))),
                    "a key twice",
                    "yaml",
                    "each key once",
                )
            mapping[key] = _plain(file, value_node, (*path, key), lines, findings)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(file, item, (*path, index), lines, findings) for index, item in enumerate(node.value)]
    if kind in ("str", "float"):
        return node.value
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:
        findings.add(file, line, "", f"a number of {len(node.value)} characters", "yaml", "a number that can be read")
        return None


def read_json(file: str, raw: bytes, findings: Findings) -> Located | None:
    """JSON by the strict reader; lines by the YAML reader, since JSON is a subset of YAML."""
    try:
        value = jsontext.read_json(raw)
    except Theirs as error:
        if (duplicates := _duplicates(file, raw)).items:
            findings.items.extend(duplicates.items)
            return None
        line = error.facts.get("line")
        findings.add(
            file, line if isinstance(line, int) else 0, "", str(error.facts.get("why")), "json", "JSON of RFC 8259"
        )
        return None
    lines: dict[Path, int] = {}
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=LOADER)
        _plain(file, node, (), lines, Findings())
    except yaml.YAMLError:
        lines = {(): 1}
    return Located(file, value, lines)


def _duplicates(file: str, raw: bytes) -> Findings:
    """Duplicate keys of a JSON file, with their lines."""
    findings = Findings()
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=LOADER)
    except (yaml.YAMLError, UnicodeDecodeError):
        return findings
    if node is not None:
        _plain(file, node, (), {}, findings)
    return findings
