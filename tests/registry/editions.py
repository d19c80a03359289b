"""Later versions of the catalogue's contracts, of indicator/v1 above all: for the tests of publishing and of pins."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from sqlalchemy import Connection, Engine, delete

from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.journal.schema import tables
from gateway.registry.changes.content import in_force
from gateway.registry.changes.proposals import Wanted, apply_contents
from gateway.registry.changes.publish import Publication, publish
from gateway.registry.seals.sealing import Seal, changing

NAME = "indicator/v1"
NOTE = '"note": {"type": "string", "title": "Ghi chú", "maxLength": 2000},'
PERIOD = '"period": {"$ref": "#/$defs/Period", "title": "Kỳ báo cáo"}\n'
Edit = Callable[[dict[str, str]], None]


def edition(version: str, *edits: Edit, contract: str = "indicator") -> Bundle:
    folder = next(each for each in catalogue_folders() if each.parts[-2:] == (contract, "v1"))
    files = {path: raw.decode("utf-8", "surrogateescape") for path, raw in Bundle.from_folder(folder).files.items()}
    files["contract.yaml"] = re.sub(r"(?m)^version: .*$", f"version: {version}", files["contract.yaml"])
    for edit in edits:
        edit(files)
    return Bundle.of({path: text.encode("utf-8", "surrogateescape") for path, text in files.items()})


def swap(path: str, old: str, new: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new, 1)

    return edit


def answer_field(name: str, told: str = "") -> Edit:
    """An optional text more in the answer, with its row."""

    def edit(files: dict[str, str]) -> None:
        swap("schema.json", NOTE, f'{NOTE}\n        "{name}": {{"type": "string"}},')(files)
        row(name, told)(files)

    return edit


def row(name: str, told: str = "") -> Edit:
    """What the economy's own format says of a field of the answer, by default that it has it; the statistics office has
    no place for it."""

    def edit(files: dict[str, str]) -> None:
        files["systems/kinh-te-json.yaml"] += f"      - {{canonical: {name}, {told or f'here: {name}'}}}\n"
        _dropped(files, name)

    return edit


def mark(number: int) -> Edit:
    """A field `mark<number>` whose value the economy's format takes for granted, so that every answer of this version
    bears it."""

    def edit(files: dict[str, str]) -> None:
        answer_field(f"mark{number}", f'constant: "{number}"')(files)
        for path, text in files.items():
            if path.startswith("samples/kinh-te-json/IndicatorValue") and path.endswith(".canonical.json"):
                files[path] = text.rstrip().removesuffix("}") + f', "mark{number}": "{number}"}}\n'

    return edit


def unplaced(message: str, name: str) -> Edit:
    """An optional text more in a message of any contract; no foreign format has a place for it."""

    def edit(files: dict[str, str]) -> None:
        schema = json.loads(files["schema.json"])
        schema["$defs"][message]["properties"][name] = {"type": "string"}
        files["schema.json"] = json.dumps(schema, ensure_ascii=False, indent=2)
        for path in (each for each in files if each.startswith("systems/")):
            table = yaml.safe_load(files[path])
            table["messages"][message].setdefault("drops", []).append(name)
            files[path] = yaml.safe_dump(table, allow_unicode=True, sort_keys=False)

    return edit


def operation(name: str, like: str, path: str) -> Edit:
    """An operation more, with the messages and the pattern of another."""

    def edit(files: dict[str, str]) -> None:
        document = yaml.safe_load(files["contract.yaml"])
        document["operations"][name] = {**document["operations"][like], "path": path}
        files["contract.yaml"] = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)

    return edit


def question_field(name: str) -> Edit:
    """An optional text more in the question, for canonical callers only."""

    def edit(files: dict[str, str]) -> None:
        schema = files["schema.json"]
        head, mark, tail = schema.partition(PERIOD)
        files["schema.json"] = head + mark.rstrip("\n") + f',\n        "{name}": {{"type": "string"}}\n' + tail
        for path in ("systems/kinh-te-json.yaml", "systems/sdmx-ml.yaml"):
            files[path] = files[path].replace("  IndicatorValue:", f"    drops: [{name}]\n  IndicatorValue:")

    return edit


def _dropped(files: dict[str, str], name: str) -> None:
    """Everywhere but in the economy's own format."""
    for path in (each for each in files if each.startswith("systems/") and each != "systems/kinh-te-json.yaml"):
        table = yaml.safe_load(files[path])
        for message, field in (("IndicatorValue", name), ("IndicatorValues", f"values[].{name}")):
            if message in table["messages"]:
                table["messages"][message].setdefault("drops", []).append(field)
        files[path] = yaml.safe_dump(table, allow_unicode=True, sort_keys=False)


def begin_at_first(engine: Engine, sign: Callable[[Connection], object], seal: Seal | None = None) -> None:
    """The instance as if indicator/v1 had just been published as 1.0.0, whatever version the catalogue has come to.

    `sign` lets two officers sign what waits: the systems pinned to it.
    """
    now = time.time()
    with changing(engine, seal) as act:
        connection = act.connection
        act.note("registry", {}, now)
        connection.execute(delete(tables.bundle).where(tables.bundle.c.contract == NAME))
        connection.execute(delete(tables.contract_in_force).where(tables.contract_in_force.c.contract == NAME))
        put(connection, edition("1.0.0"))
        contents = {
            subject: {**content, "versions": {**content["versions"], NAME: "1.0"}}
            if NAME in content.get("versions", {})
            else content
            for subject, content in in_force(connection).items()
        }
        apply_contents(connection, Wanted(contents, {}, None), now)
        sign(connection)


def put(connection: Connection, bundle: Bundle) -> Publication:
    return publish(connection, bundle, compile_bundle(bundle))


def written(files: Mapping[str, bytes], folder: Path) -> Path:
    """A bundle as a folder v<major> of its own."""
    for path, raw in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(raw)
    return folder
