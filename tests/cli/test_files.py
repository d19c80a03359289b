"""What a command or a process tells: of files that it cannot use, on terminals that have not every letter, in lines of
a log.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway import cli
from gateway.cli.registry.identities import KeyUse, registry_enrol
from gateway.cli.setup import enrol
from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from gateway.signals.lines import PlainTraces
from security.algorithms import new_private
from security.pki.authority import make_request


def test_a_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
    make_instance(
        settings,
        dict.fromkeys(("mo-phong", "do-thi", "kinh-te", "truong-ha"), "https://localhost:1"),
        time.time(),
        province=True,
    )
    request = tmp_path / "tls.csr"
    request.write_bytes(make_request("y-te", new_private()))

    def enrolled() -> int:
        with open_engine(settings.database_url).connect() as connection:
            return len(
                connection.execute(select(tables.system_key.c.key_id).where(tables.system_key.c.system == "y-te")).all()
            )

    before = enrolled()
    with pytest.raises(IsADirectoryError):
        registry_enrol("y-te", KeyUse.TLS, request, out=tmp_path, data=settings.data, as_json=True)
    assert enrolled() == before
    # Of several systems all are enrolled or none, and nothing is left that could be handed out.
    for system, name in {"y-te": "y-te", "bao-chay": "another"}.items():
        (tmp_path / "asked" / system).mkdir(parents=True)
        (tmp_path / "asked" / system / "tls.csr").write_bytes(make_request(name, new_private()))
    both = ["y-te", "bao-chay"]
    with pytest.raises(SystemExit):
        enrol(both, tmp_path / "asked", out=tmp_path / "out", data=settings.data, as_json=True)
    assert enrolled() == before and not list((tmp_path / "out").iterdir())
    (tmp_path / "asked" / "bao-chay" / "tls.csr").write_bytes(make_request("bao-chay", new_private()))
    with pytest.raises(SystemExit) as ended:
        enrol(both, tmp_path / "asked", out=tmp_path / "out", data=settings.data, as_json=True)
    assert ended.value.code == 0
    assert enrolled() == before + 1 and {each.name for each in (tmp_path / "out").iterdir()} == set(both)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_letter_is_told_where_a_terminal_or_a_pipe_has_not_all_of_them(tmp_path: Path, encoding: str) -> None:
    missing = f"{tmp_path}/đặc tả \udcff"  # and a name of a file that is no UTF-8
    for json_or_not in ((), ("--json",)):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "agent", "check", missing, *json_or_not],
            env=os.environ | {"PYTHONIOENCODING": encoding},
            capture_output=True,
        )
        assert done.returncode == 2 and b"Traceback" not in done.stderr
        if json_or_not:
            assert "đặc tả" in json.loads(done.stdout)["error"]["what"]


def test_a_message_in_the_log_of_a_process_is_one_line() -> None:
    """A file that was dropped may bear any name, and would write lines of its own into the log, or into the terminal of
    whoever reads it."""
    record = logging.LogRecord(
        "lgsp.files", logging.INFO, "", 0, "%s: taken", ("phản ánh\n2026-11-25 CRITICAL\x1b[2J\u202e.csv",), None
    )
    told = PlainTraces("%(levelname)s %(message)s").format(record)
    assert told == "INFO phản ánh\\u000a2026-11-25 CRITICAL\\u001b[2J\\u202e.csv: taken"
