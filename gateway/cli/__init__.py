"""The command line: reads arguments, loads what a command needs when it needs it, and ends with a documented exit code.

0 all well, 1 the answer is no, 2 wrong usage, 3 ours (`docs/commands.md`). Each module here declares its own commands.
"""

from __future__ import annotations

import io
import sys
import traceback
from typing import NoReturn

from gateway.cli import (  # noqa: F401  (declare their commands)
    access,
    agent,
    audit,
    audit_body,
    audit_search,
    audit_watch,
    backup,
    client,
    client_reconcile,
    contract,
    flows,
    handout,
    identities,
    keys,
    package,
    registry,
    run,
    stamps,
    vault,
    witness,
)
from gateway.cli.base import app
from gateway.commands.output import Exit, fail

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line. What nobody foresaw is ours: a trace for whoever mends it, exit code 3."""
    as_json = "--json" in sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a pipe on Windows has not every letter of Vietnamese; JSON is UTF-8 everywhere (RFC 8259 §8.1)
            stream.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")
    try:
        app(prog_name="lgsp")
    except SystemExit as end:  # wrong usage: the command line's own parser has told people; programs get their object
        told = getattr(end.__context__, "format_message", None)
        if as_json and told is not None:
            fail(
                Exit.USAGE, "usage", f"{told()} / lệnh chưa đúng cú pháp", "See --help of this command. / Xem --help của lệnh này.", as_json
            )
        raise
    except OSError as trouble:
        if trouble.filename is None:
            _unforeseen(as_json)
        what = f"{trouble.filename}: {trouble.strerror} / không đọc hoặc ghi được tệp này"
        fail(Exit.USAGE, "file", what, "Name another file, or mend this one. / Chọn tệp khác, hoặc sửa tệp này.", as_json)
    except Exception:
        _unforeseen(as_json)


def _unforeseen(as_json: bool) -> NoReturn:
    traceback.print_exc()
    what = "this is a mistake of ours / lỗi của phần mềm"
    fail(Exit.OURS, "unforeseen", what, "Report it with the lines above. / Hãy báo kèm các dòng trên.", as_json)
