"""A file that cannot be read is named with its reason, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from gateway.cli.common import arguments


def test_both_languages_name_the_file_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file, why, reason in (
        (tmp_path / "none.json", "No such file or directory", "không có tệp hoặc thư mục này"),
        (tmp_path, "Is a directory", "đó là một thư mục"),
    ):
        with pytest.raises((typer.Exit, SystemExit)):
            arguments.content(file, "Name another. / Chọn tệp khác.", False)
        first = capsys.readouterr().err.splitlines()[0]
        assert f"the file {file} cannot be read: {why} / không đọc được tệp {file}: {reason}" in first, first
