"""The matrix of the sandbox province, written for review: `python -m tests.registry.matrix` makes matrix.txt anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gateway.registry.changes import matrix
from gateway.registry.snapshot import Snapshot, load_snapshot
from tests.registry.making import NOW, filled, new_database, province

FILE = Path(__file__).with_name("matrix.txt")
HEAD = (
    "The sandbox province, agency × contract × operation × field (+ seen, - hidden; [basic], [sensitive]: personal), "
    "on Tuesday 2026-11-24 at 14:00 in Vietnam.\n"
)
AGAIN = "python -m tests.registry.matrix"


def sandbox() -> Snapshot:
    """The province of the sandbox as it is set up: every grant signed by both officers."""
    with tempfile.TemporaryDirectory() as folder:
        engine = new_database(Path(folder))
        filled(engine, province(), [])
        with engine.connect() as connection:
            snapshot = load_snapshot(connection)
        engine.dispose()
    return snapshot


def written(snapshot: Snapshot) -> str:
    return (
        f"{HEAD}Made by `{AGAIN}`; the difference is what a review looks "
        f"at.\n\n{matrix.text(snapshot, list(matrix.matrix(snapshot, NOW)))}"
    )


if __name__ == "__main__":
    FILE.write_text(written(sandbox()), "utf-8")
