"""One version of a comparison: the compiled contract, and its documents with line numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from contracts.canonical.model import Scalar
from contracts.compiled.contract import CompiledContract
from contracts.diff.changes import Side
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Findings, Located, Path, read_json, read_yaml

Values: TypeAlias = frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Version:
    """`documents` holds contract.yaml, schema.json and the mapping tables by path."""

    side: Side
    bundle: Bundle
    compiled: CompiledContract
    documents: dict[str, Located]

    @classmethod
    def of(cls, side: Side, bundle: Bundle, compiled: CompiledContract) -> Version:
        documents: dict[str, Located] = {}
        for path, raw in bundle.files.items():
            if path == "schema.json":
                document = read_json(path, raw, Findings())
            elif path.endswith(".yaml"):
                document = read_yaml(path, raw, Findings())
            else:
                continue
            assert document is not None  # it was compiled
            documents[path] = document
        return cls(side, bundle, compiled, documents)

    def at(self, file: str, path: Path) -> tuple[str, int, Side]:
        return file, self.documents[file].line(path), self.side

    def schema(self, path: Path) -> tuple[str, int, Side]:
        return self.at("schema.json", path)

    def resolved(self, path: Path) -> Path:
        """The place in schema.json that a reference at `path` leads to, else `path`."""
        node = self.node(path)
        while isinstance(node, dict) and "$ref" in node:
            path = ("$defs", node["$ref"].removeprefix("#/$defs/"))
            node = self.node(path)
        return path

    def values(self, scalar: Scalar) -> Values:
        """The codes of a scalar, each with its validity; empty where any value is allowed."""
        if scalar.table is None or scalar.open_list:
            return frozenset((value, "", "") for value in scalar.values)
        return frozenset((row.code, row.valid_from, row.valid_until) for row in self.compiled.tables[scalar.table].rows)

    def node(self, path: Path) -> Any:
        node = self.documents["schema.json"].value
        for step in path:
            node = node[step]
        return node
