"""A file that cannot be read is named with its reason, in both languages."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import typer
from sqlalchemy import create_engine

from gateway.cli.common import arguments
from gateway.cli.common.output import failures_as_exits
from gateway.journal.database import open_engine


def test_both_languages_name_the_file_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file, why, reason in (
        (tmp_path / "none.json", "No such file or directory", "không có tệp hoặc thư mục này"),
        (tmp_path, "Is a directory", "đó là một thư mục"),
    ):
        with pytest.raises((typer.Exit, SystemExit)):
            arguments.content(file, "Name another. / Chọn tệp khác.", False)
        first = capsys.readouterr().err.splitlines()[0]
        assert f"the file {file} cannot be read: {why} / không đọc được tệp {file}: {reason}" in first, first


def test_a_database_file_that_cannot_be_written_is_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was called a database that is to be updated."""
    sqlite3.connect(tmp_path / "lgsp.db").close()
    engine = create_engine(f"sqlite:///file:{tmp_path / 'lgsp.db'}?mode=ro&uri=true")
    with pytest.raises(SystemExit) as ended, failures_as_exits(False), engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    said = capsys.readouterr().err
    assert ended.value.code == 3 and "cannot be written" in said and "read-only" in said and "lgsp up" not in said


def test_a_command_that_asks_again_still_names_why_no_connection_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    """The second time it said that the database is away, and advised `lgsp up`."""
    engine = open_engine("postgresql://lgsp@127.0.0.1:1/lgsp")
    for _ in range(2):
        with pytest.raises(SystemExit) as ended, failures_as_exits(False), engine.connect():
            pass
        said = capsys.readouterr().err
        assert ended.value.code == 3 and "cannot be reached" in said and "port 1 failed" in said, said
        assert "CREATE DATABASE" in said and "lgsp up" not in said, said
