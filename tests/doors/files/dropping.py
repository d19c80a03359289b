"""An instance's data without its processes: a database with the sandbox's province in it, and the folders of the
systems that drop files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, cast

import yaml
from sqlalchemy import text

from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.writer import Journal
from gateway.processes.files import Files
from gateway.registry import store
from gateway.registry.changes.document import parse
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.vault.vault import Vault
from tests.registry.making import (
    ENDPOINTS,
    NOW,
    PROVINCE,
    applied,
    approve_all,
    contracts,
    filled,
    new_database,
    province,
)

SAMPLES = next(folder for folder in catalogue_folders() if folder.parent.name == "indicator") / "samples"
CSV = (SAMPLES / "chi-tieu-csv" / "IndicatorValues.quy-3.csv").read_bytes()
XLSX = (SAMPLES / "chi-tieu-xlsx" / "IndicatorValues.quy-3.xlsx").read_bytes()
BAD = CSV.replace(b"41,07", b"41.07").replace(b"KT-05", b"KT-99")


@dataclass
class Place:
    """An instance's data folder, without its processes; every look is that of a process of its own."""

    data: Path
    now: list[float] = field(default_factory=lambda: [NOW])
    looks: int = 0
    provider: Any = None

    @property
    def settings(self) -> Settings:
        return Settings(self.data, file_seconds=0.0, file_limit=100_000)

    @property
    def drop(self) -> Path:
        return self.settings.drop_root / "so-lieu"

    @contextmanager
    def process(self) -> Iterator[Files]:
        """The worker as its process puts it together; left behind as it is when the block ends by an exception."""
        self.looks += 1
        engine = open_engine(f"sqlite:///{self.data / 'lgsp.db'}")
        registry = Registry(engine)
        journal = Journal(engine, lock_of(engine), f"files-{self.looks}", kind="files")
        journal.start()
        vault = Vault(self.data / "keys")
        exchange = Exchange(
            journal, vault, cast(Any, self.provider), engine, f"files-{self.looks}", str, lambda: self.now[0], 1.0
        )
        files = Files(engine, registry, exchange, self.settings, lambda: "", monotonic=lambda: self.now[0])
        try:
            yield files
        finally:
            files.close()
            journal.stop()
            engine.dispose()

    def look(self) -> int:
        """A second later: ids sort by time."""
        self.now[0] += 1
        with self.process() as files:
            return asyncio.run(files.look())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        engine = open_engine(f"sqlite:///{self.data / 'lgsp.db'}")
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    def phases(self) -> list[str]:
        return [phase for (phase,) in self.rows("select phase from log_pending order by id")]

    def fed(self) -> list[dict[str, Any]]:
        """What stands in the feed, in order."""
        engine = open_engine(f"sqlite:///{self.data / 'lgsp.db'}")
        try:
            with engine.connect() as connection:
                refs = connection.execute(text("select body_ref from feed_pending order by id")).scalars().all()
                return [json.loads(Vault(self.data / "keys").open(connection, ref)) for ref in refs]
        finally:
            engine.dispose()

    def reports(self) -> list[dict[str, Any]]:
        """All reports, by the id of their transfer."""
        found = [json.loads(path.read_text("utf-8")) for path in self.drop.rglob("*.report.json")]
        return sorted(found, key=lambda each: each["transfer"])

    def table(self, name: str) -> list[list[str]]:
        return list(
            csv.reader(io.StringIO(next(self.drop.rglob(f"*{name}*.report.csv")).read_text("utf-8-sig")), delimiter=";")
        )

    def where(self, ending: str = "") -> list[str]:
        """Names of the folders in which files lie that were dropped."""
        found = [
            path
            for path in self.drop.rglob("*")
            if path.is_file() and ".report." not in path.name and path.name.endswith(ending)
        ]
        return sorted(path.parent.name for path in found)


def edited(**changes: Any) -> str:
    """The province with parts of the dropping system, or of its grants, replaced."""
    raw = yaml.safe_load(PROVINCE)
    system = next(each for each in raw["systems"] if each["id"] == "so-lieu")
    system.update(changes.get("system", {}))
    if "rules" in changes:
        system["endpoint"]["rules"] = changes["rules"]
    raw["grants"] = [grant for grant in raw["grants"] if grant["id"] != changes.get("without")] + changes.get(
        "grants", []
    )
    for each in raw["grants"]:
        if each["id"] == changes.get("again"):  # given up before: under another edition
            each["edition"] = 2
    return yaml.safe_dump(raw, allow_unicode=True)


def fresh(folder: Path, text: str = PROVINCE, bundle: Bundle | None = None) -> Place:
    """A place of its own. `bundle` stands for the indicator contract, if given."""
    folder.mkdir(exist_ok=True)
    made = Place(folder)
    engine = new_database(folder)
    filled(engine, province(), [])
    with writing(engine) as connection:
        known = contracts()
        if bundle is not None:
            compiled = compile_bundle(bundle)
            store.publish_bundle(connection, bundle, compiled)
            known = known | {compiled.contract.name: compiled}
        applied(parse(text, known, ENDPOINTS), connection, NOW)
        approve_all(connection)
    engine.dispose()
    made.look()
    return made


def apply(place: Place, text: str, bundle: Bundle | None = None) -> None:
    engine = open_engine(f"sqlite:///{place.data / 'lgsp.db'}")
    known = contracts() if bundle is None else contracts() | {(made := compile_bundle(bundle)).contract.name: made}
    with writing(engine) as connection:
        applied(parse(text, known, ENDPOINTS), connection, NOW)
        approve_all(connection)
    engine.dispose()


def changed(
    changes: dict[str, tuple[str, str]], added: dict[str, str] | None = None, *, of: str = "indicator"
) -> Bundle:
    """The indicator contract (or another) with some of its text replaced, and files added; under a number of its own,
    since one number is one content."""
    files = dict(Bundle.from_folder(SAMPLES.parents[2] / of / "v1").files)
    files["contract.yaml"] = re.sub(rb"(?m)^(version: \d+\.\d+\.)(\d+)", rb"\g<1>9\2", files["contract.yaml"])
    for path, (old, new) in changes.items():
        assert old.encode() in files[path]
        files[path] = files[path].replace(old.encode(), new.encode(), 1)
    return Bundle.of(files | {path: text.encode() for path, text in (added or {}).items()})


def dropped(place: Place, **files: bytes) -> None:
    for name, data in files.items():
        stem, _, ending = name.rpartition("_")
        (place.drop / f"{stem}.{ending}").write_bytes(data)


def grant(contract: str, operation: str) -> dict[str, Any]:
    return {
        "id": "G-1",
        "agency": "H14.4",
        "contract": contract,
        "operations": [operation],
        "purpose": "Thử",
        "legal_basis": "Thử",
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2030, 12, 31),
    }
