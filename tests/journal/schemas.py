"""Makes `gateway/journal/schema/schema.json`: how the schema reads in databases that were only ever migrated. `python -m tests.journal.schemas` writes it."""

import json
import tempfile
from importlib import resources
from pathlib import Path

from gateway.journal.schema.comparison import FILE, described
from tests.journal import databases


def made(kind: str, folder: Path) -> dict[str, str]:
    engine = databases.migrated(kind, folder)
    try:
        with engine.connect() as connection:
            return dict(sorted(described(connection).items()))
    finally:
        engine.dispose()


def text(found: dict[str, dict[str, str]]) -> str:
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def write() -> None:
    found = {"revision": {"alembic": databases.newest()}}
    for kind in databases.KINDS:
        with tempfile.TemporaryDirectory() as folder:
            found[kind] = made(kind, Path(folder))
    Path(str(resources.files("gateway.journal") / FILE)).write_text(text(found), "utf-8")


if __name__ == "__main__":
    try:
        write()
    finally:
        databases.end_server()
