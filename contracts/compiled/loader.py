"""Reads a bundle into contract, types, code tables, mapping plans and samples; every fault has its file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from contracts.canonical.code_tables import other_orders, read_codes
from contracts.canonical.model import Sample, Struct
from contracts.canonical.profile import Profile
from contracts.canonical.type_rules import MOST_PATHS, MOST_PATHS_OF_ALL, many_paths
from contracts.compiled import workflow_file
from contracts.compiled.contract_file import read_contract
from contracts.compiled.format_file import read_format
from contracts.compiled.source import Source
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Located, read_json

_SAMPLE: Final = re.compile(
    r"samples/(?P<format>[^/]+)/(?P<message>[A-Za-z_]\w*)\.(?P<name>[^/.]+)\.(?P<kind>json|form|xml|csv|xlsx)"
)

_MOST_TABLE_BYTES: Final = 2_000_000  # about 25,000 rows, which take some seconds
_FILES: Final = ("contract.yaml", "schema.json", workflow_file.FILE)


def load(bundle: Bundle) -> Source:
    """Everything that could be read, with all findings."""
    source, files = load_terms(bundle), bundle.files
    source.workflow = workflow_file.read_workflow(source, bundle)
    tables = {path: raw for path, raw in files.items() if path.startswith("systems/")}
    if sum(map(len, tables.values())) > _MOST_TABLE_BYTES:
        largest = max(tables, key=lambda path: len(tables[path]))
        got, expected = f"{len(tables[largest])} bytes, the largest of {len(tables)} tables", "of all tables together"
        source.findings.add(largest, 0, "", got, "cost", f"at most {_MOST_TABLE_BYTES} bytes {expected}")
        return source
    for path, raw in tables.items():
        read_format(source, path, raw)
    _samples(source, files)
    return source


def load_terms(bundle: Bundle) -> Source:
    """Code tables, messages and contract: all that its operations say. A third of the cost of the whole."""
    source = Source()
    files = bundle.files
    for path, raw in files.items():
        pure = PurePosixPath(path)
        if len(pure.parts) == 2 and pure.parts[0] == "codes" and pure.suffix == ".csv":
            table = read_codes(path, raw, source.findings)
            if table is not None:
                source.tables.update({each.name: each for each in (table, *other_orders(table))})
        elif path not in ("contract.yaml", "schema.json", workflow_file.FILE) and not path.startswith(
            ("samples/", "systems/")
        ):
            source.findings.add(
                path,
                0,
                "",
                "a file without a place",
                "layout",
                "contract.yaml, schema.json, workflow.yaml, codes/, systems/, samples/",
            )
    schema = _schema(source, files)
    read_contract(source, bundle)
    if schema is not None and not source.findings.items:
        _check_paths(source, schema)
    return source


def _schema(source: Source, files: Mapping[str, bytes]) -> Located | None:
    if "schema.json" not in files:
        source.findings.add("schema.json", 0, "", "nothing", "layout", "the canonical messages")
        return None
    document = read_json("schema.json", files["schema.json"], source.findings)
    if document is None:
        return None
    if not isinstance(document.value, dict):
        source.findings.add("schema.json", 1, "", "not an object", "profile", "a schema")
        return None
    if document.value.get("$schema") != "https://json-schema.org/draft/2020-12/schema":
        source.findings.add(
            "schema.json", document.line(("$schema",)), "$schema", "another draft", "profile", "draft 2020-12"
        )
    for word in document.value:
        if word not in ("$schema", "$id", "$defs", "title", "description"):
            source.findings.add(
                "schema.json",
                document.line((word,)),
                word,
                f"the keyword {word}",
                "profile",
                "messages under $defs, nothing beside",
            )
    types = Profile(document, source.tables, source.findings).types()
    source.messages = {name: type_ for name, type_ in types.items() if isinstance(type_, Struct)}
    return document


def _check_paths(source: Source, schema: Located) -> None:
    """Refuses messages whose types refer to each other in so many orders that nobody can list their fields."""
    assert source.contract is not None
    exchanged = {name for each in source.contract.operations.values() for name in (each.request, each.answer)}
    messages = {name: struct for name, struct in source.messages.items() if name in exchanged}
    for name in many_paths(messages):
        source.findings.add(
            schema.file,
            schema.line(("$defs", name)),
            f"$defs/{name}",
            f"{name} has too many paths, since its types refer to each other",
            "profile",
            f"at most {MOST_PATHS} in a message, {MOST_PATHS_OF_ALL} in all messages",
        )


def _samples(source: Source, files: Mapping[str, bytes]) -> None:
    for path, raw in files.items():
        if not path.startswith("samples/") or path.endswith(".canonical.json"):
            continue
        match = _SAMPLE.fullmatch(path)
        if (
            match is None
            or match["message"] not in source.messages
            or match["format"] not in {*source.formats, "canonical"}
        ):
            source.findings.add(
                path,
                0,
                "",
                "a sample without a place",
                "layout",
                "samples/<format>/<Message>.<name>.json, .form, .xml, .csv or .xlsx",
            )
            continue
        twin = f"samples/{match['format']}/{match['message']}.{match['name']}.canonical.json"
        if match["format"] == "canonical" and match["kind"] == "json":
            twin = path
        if twin not in files:
            source.findings.add(path, 0, "", "no canonical twin", "layout", twin)
            continue
        source.samples.append(
            Sample(
                format=match["format"],
                message=match["message"],
                name=match["name"],
                kind=match["kind"],
                raw=raw,
                canonical=files[twin],
            )
        )
    canonical_files = {path for path in files if path.startswith("samples/") and path.endswith(".canonical.json")}
    twins = {f"samples/{each.format}/{each.message}.{each.name}.canonical.json" for each in source.samples}
    for path in sorted(canonical_files - twins):
        source.findings.add(path, 0, "", "a twin without its sample", "layout", "the sample beside it")
