"""Files that a command is given and cannot use are told as such, and are no mistake of ours."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway import cli
from gateway.commands import identities
from gateway.journal import tables
from gateway.journal.database import open_engine
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from security.authority import make_request, new_private


def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "khóa"
    taken.write_text("a file where a folder is wanted")
    monkeypatch.setattr(sys, "argv", ["lgsp", "client", "keygen", "y-te", "--out", str(taken), "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert end.value.code == 2 and "Traceback" not in printed.err
    error = json.loads(printed.out)["error"]
    assert error["code"] == "file" and str(taken) in error["what"]


def test_no_key_is_enrolled_whose_certificate_could_not_be_handed_out(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", kind="sandbox")
    make_instance(settings, dict.fromkeys(("mot-cua", "do-thi", "kinh-te", "truong-ha"), "https://localhost:1"), time.time(), province=True)
    request = tmp_path / "tls.csr"
    request.write_bytes(make_request("y-te", new_private()))

    def enrolled() -> int:
        with open_engine(settings.database_url).connect() as connection:
            return len(connection.execute(select(tables.system_key.c.key_id).where(tables.system_key.c.system == "y-te")).all())

    before = enrolled()
    with pytest.raises(IsADirectoryError):
        identities.enrol(settings, "y-te", "tls", request, None, None, tmp_path, True)
    assert enrolled() == before
