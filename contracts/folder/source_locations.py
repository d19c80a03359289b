"""YAML and JSON files read with the line of every value, so that a finding can name file and line.

Only plain data: YAML tags and duplicate keys are refused, and aliases that grow or hold themselves. Invariant: reading never raises; what is wrong becomes
a finding, and the reader gets None.
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
_DEEPEST: Final = jsontext.MAX_DEPTH
_MOST: Final = 100_000  # values in a file
_MOST_SAID: Final = 100


@dataclass(slots=True)
class Findings:
    """Collects what is wrong in one contract folder; `add` is the only way in."""

    found: list[Finding] = field(default_factory=list)

    def add(self, file: str, line: int, where: str, got: str, rule: str, expected: str) -> None:
        self.found.append(Finding(f"{file}:{line}" if line else file, where, got, rule, expected))


@dataclass(frozen=True, slots=True)
class Located:
    """A document and the line of each of its values."""

    file: str
    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(file: str, raw: bytes, findings: Findings) -> Located | None:
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
    if len(path) > _DEEPEST or len(lines) > _MOST:  # an alias may hold itself, or be a thousand times what is written
        if len(findings.found) < _MOST_SAID:
            findings.add(
                file,
                line,
                "",
                "values without end",
                "yaml",
                f"at most {_DEEPEST} levels and {_MOST} values, aliases opened",
            )
        return None
    if kind not in _PLAIN:
        # A date or a YAML 1.1 oddity: taken as the text that stands there.
        if isinstance(node, yaml.ScalarNode):
            return node.value
        findings.add(file, line, "", f"the tag {node.tag}", "yaml", "plain data")
        return None
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in made:
                findings.add(
                    file,
                    key_node.start_mark.line + 1,
                    ".".join(map(str, (*path, key))),
                    "a key twice",
                    "yaml",
                    "each key once",
                )
            made[key] = _plain(file, value_node, (*path, key), lines, findings)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return made
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
    """JSON by our strict reader; the lines come from YAML's reader, of which JSON is a subset."""
    try:
        value = jsontext.read_json(raw)
    except Theirs as error:
        if (twice := _twice(file, raw)).found:
            findings.found.extend(twice.found)
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


def _twice(file: str, raw: bytes) -> Findings:
    """Keys that stand twice in a JSON file, with their lines."""
    found = Findings()
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=LOADER)
    except (yaml.YAMLError, UnicodeDecodeError):
        return found
    if node is not None:
        _plain(file, node, (), {}, found)
    return found
