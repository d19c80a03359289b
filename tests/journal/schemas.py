"""Makes `gateway/journal/schema/schema.json`: the schema of a database that was only ever migrated.

`./lgsp docs` writes it.
"""

import json
import tempfile
from importlib import resources
from pathlib import Path

from gateway.journal.schema.comparison import FILE, described
from tests.journal import databases

PATH = Path(str(resources.files("gateway.journal.schema") / FILE))


def made(kind: str, folder: Path) -> dict[str, str]:
    engine = databases.migrated(kind, folder)
    try:
        with engine.connect() as connection:
            return dict(sorted(described(connection).items()))
    finally:
        engine.dispose()


def page() -> str:
    described_by_kind = {"revision": {"alembic": databases.newest()}}
    for kind in databases.KINDS:
        with tempfile.TemporaryDirectory() as folder:
            described_by_kind[kind] = made(kind, Path(folder))
    return json.dumps(described_by_kind, ensure_ascii=False, indent=1) + "\n"
