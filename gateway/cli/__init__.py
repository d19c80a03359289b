"""The command line: reads arguments, loads what a command needs when it needs it, and ends with a documented exit code.

0 all well, 1 the answer is no, 2 wrong usage, 3 ours, 130 and more by a signal (`docs/commands.md`).
Each group of commands is a module or a package here. A command is a function: its parameters declare its arguments and
options, its docstring is its help. Invariant: what only some commands need is imported inside their functions, so that
`lgsp --help` loads neither the database nor cryptography, and a process of an instance none of the commands.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from gateway.cli import processes
from gateway.cli.common import stopping
from gateway.cli.common.output import FULL, Exit, fail, failures_as_exits

if TYPE_CHECKING:
    from gateway.cli.checkout import Checkout

__all__ = ["main"]


def main(extra: Checkout | None = None) -> None:
    """Run the command line. `extra` is what a source checkout adds.

    What nobody foresaw is ours: a trace for whoever mends it, exit code 3."""
    words = sys.argv[1:]
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A pipe on Windows has not every letter of Vietnamese. JSON is UTF-8 everywhere (RFC 8259 §8.1).
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


def _command() -> Callable[..., None]:
    from gateway.cli.common import language

    language.take_up()
    return parser(language.language())


@cache
def parser(spoken: str) -> Callable[..., None]:
    """What reads all commands, and speaks `vi` or `en`. It is the same for every run."""
    import typer

    from gateway.cli.common import language
    from gateway.cli.tree import app

    command = typer.main.get_command(app)
    if spoken == "vi":
        language.translate(command)
        language.translate_messages(command)
    return command


def _run(words: list[str], as_json: bool, extra: Checkout | None) -> None:
    try:
        with failures_as_exits(as_json):
            if not processes.run(words):
                _command()(prog_name="lgsp", obj=extra)
    except SystemExit as end:  # wrong usage: the parser has told people; programs get their object
        message = getattr(end.__context__, "format_message", None)
        if as_json and message is not None:
            what = f"{message()} / lệnh chưa đúng cú pháp"
            fail(Exit.USAGE, "usage", what, "See --help of this command. / Xem --help của lệnh này.", as_json)
        raise
    except stopping.Stopped as stopped:
        stopping.tell(stopped, words, as_json)
    except OSError as trouble:
        if trouble.errno in FULL:
            what = f"{trouble.filename or 'the disk'}: {trouble.strerror} / không còn chỗ trống hoặc lỗi đĩa"
            then = "Make room, then run it again. / Giải phóng dung lượng rồi chạy lại."
            fail(Exit.OURS, "disk", what, then, as_json)
        if trouble.filename is None:
            _unforeseen(as_json)
        what = f"{trouble.filename}: {trouble.strerror} / không đọc hoặc ghi được tệp này"
        then = "Name another file, or mend this one. / Chọn tệp khác, hoặc sửa tệp này."
        if isinstance(trouble, PermissionError):
            then = (
                "This account may not do that: run it as the user whose file it is, or name another file."
                " / Tài khoản này không có quyền: chạy bằng tài khoản sở hữu tệp, hoặc chọn tệp khác."
            )
        fail(Exit.USAGE, "file", what, then, as_json)
    except Exception:
        _unforeseen(as_json)


def _unforeseen(as_json: bool) -> NoReturn:
    traceback.print_exc()
    what = "this is a mistake of ours / lỗi của phần mềm"
    fail(Exit.OURS, "unforeseen", what, "Report it with the lines above. / Hãy báo kèm các dòng trên.", as_json)
