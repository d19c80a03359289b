"""The command line: reads arguments, loads what a command needs when it needs it, and ends with a documented exit code.

0 all well, 1 the answer is no, 2 wrong usage, 3 ours, 130 and more by a signal (`docs/commands.md`). Each module here declares its own commands.
"""

from __future__ import annotations

import io
import sys
import traceback
from typing import NoReturn

from contracts.base.errors import Failure
from gateway.cli import (  # noqa: F401  (declare their commands)
    access,
    agent,
    audit,
    audit_body,
    audit_search,
    audit_watch,
    backup,
    checkout,
    client,
    client_reconcile,
    contract,
    flows,
    handout,
    identities,
    keys,
    package,
    processes,
    registry,
    run,
    stamps,
    vault,
    witness,
)
from gateway.cli.base import app
from gateway.cli.checkout import Checkout
from gateway.commands import stopping
from gateway.commands.output import FULL, Exit, fail, failed

__all__ = ["Checkout", "app", "main"]


def main(extra: Checkout | None = None) -> None:
    """Run the command line. `extra` is what a source checkout adds.

    What nobody foresaw is ours: a trace for whoever mends it, exit code 3."""
    words = sys.argv[1:]
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a pipe on Windows has not every letter of Vietnamese; JSON is UTF-8 everywhere (RFC 8259 §8.1)
            stream.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")
    stopping.heed(words)
    out = sys.stdout  # the parser of the command line wraps it when nobody reads it any more, and ends with 1
    try:
        _run(words, as_json, extra)
    except (SystemExit, OSError) as end:  # of the latter: what even the words of an error ended with
        sys.stdout = out
        cause = end.__context__ if isinstance(end.__context__, BrokenPipeError) else end
        trouble = cause if isinstance(cause, OSError) else stopping.unwritten()
        if trouble is None:
            raise
        stopping.end_unread(trouble)  # whatever it came to: nobody has read it


def _run(words: list[str], as_json: bool, extra: Checkout | None) -> None:
    try:
        app(prog_name="lgsp", obj=extra)
    except SystemExit as end:  # wrong usage: the command line's own parser has told people; programs get their object
        told = getattr(end.__context__, "format_message", None)
        if as_json and told is not None:
            fail(
                Exit.USAGE,
                "usage",
                f"{told()} / lệnh chưa đúng cú pháp",
                "See --help of this command. / Xem --help của lệnh này.",
                as_json,
            )
        raise
    except stopping.Stopped as stopped:
        stopping.tell(stopped, words, as_json)
    except OSError as trouble:
        if trouble.errno in FULL:
            what = f"{trouble.filename or 'the disk'}: {trouble.strerror} / không còn chỗ trống hoặc lỗi đĩa"
            fail(
                Exit.OURS, "disk", what, "Make room, then run it again. / Giải phóng dung lượng rồi chạy lại.", as_json
            )
        if trouble.filename is None:
            _unforeseen(as_json)
        what = f"{trouble.filename}: {trouble.strerror} / không đọc hoặc ghi được tệp này"
        fail(
            Exit.USAGE, "file", what, "Name another file, or mend this one. / Chọn tệp khác, hoặc sửa tệp này.", as_json
        )
    except Failure as failure:  # one that a command let through has words all the same
        failed(Exit.OURS, failure, as_json)
    except Exception:
        _unforeseen(as_json)


def _unforeseen(as_json: bool) -> NoReturn:
    traceback.print_exc()
    what = "this is a mistake of ours / lỗi của phần mềm"
    fail(Exit.OURS, "unforeseen", what, "Report it with the lines above. / Hãy báo kèm các dòng trên.", as_json)
