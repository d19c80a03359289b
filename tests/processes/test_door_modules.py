"""A door loads what it needs and nothing else: what it holds, each of them holds, one a core."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from gateway.settings import Settings
from gateway.settings.handing import handed, taken

LOADED = """
import sys
from gateway.cli import main
from gateway.processes.table import door
assert callable(main) and callable(door())
print(*sys.modules)
"""
NEVER = """
alembic alembic.op mako authlib babel click docxtpl httpx jinja2 openpyxl pandas pydantic pydantic_settings pygments
pypdf pytest qrcode requests rich segno typer typst webauthn werkzeug xlsxwriter zeep multiprocessing
sqlalchemy.ext sqlalchemy.orm starlette.templating starlette.testclient uvicorn.main uvicorn.supervisors
contracts.diff contracts.faces contracts.importers contracts.proof
gateway.agent gateway.backup gateway.cli.tree gateway.cli.common.persons gateway.console gateway.doctor
gateway.doors.documents gateway.journal.migrations gateway.keeper gateway.notices gateway.sandbox gateway.scorecards
gateway.settings.sources gateway.watch gateway.witness bench examples tests
""".split()


def test_a_door_loads_no_part_that_only_others_need() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True, timeout=300)
    loaded = done.stdout.split()
    assert "gateway.processes.door" in loaded and "aiohttp" in loaded
    unneeded = {each for each in NEVER for name in loaded if name == each or name.startswith(f"{each}.")}
    assert not unneeded, f"a door loads {sorted(unneeded)}; load them where they are used"


def test_settings_of_any_size_are_handed_over(tmp_path: Path) -> None:
    """More than a pipe holds: whoever hands them over does not wait for a reader."""
    settings = replace(Settings(tmp_path), push_networks=", ".join(f"10.0.{each % 250}.0/24" for each in range(8_000)))
    assert taken(handed(settings)) == settings
