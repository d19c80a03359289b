"""connexion is imported without what the doors do not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.doors.api.apis import DOCUMENTS

LOADED = """
import sys
from pathlib import Path
import gateway.doors.api.connexion_parts
unused = {"httpx", "jinja2", "pygments", "requests", "rich", "starlette.templating", "starlette.testclient"}
assert not unused & set(sys.modules), sorted(sys.modules)
import httpx, jinja2, requests, starlette.templating
assert callable(requests.get) and callable(httpx.get)
assert jinja2.Template("{{ 1 }}").render() == "1" and starlette.templating.Jinja2Templates.__module__
"""


def test_a_door_loads_no_command_line_and_no_second_client_and_both_are_there_for_others() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True, timeout=300)


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_no_document_refers_to_the_web(path: Path) -> None:
    assert "$ref: http" not in path.read_text("utf-8").replace('"', "").replace("'", "")
