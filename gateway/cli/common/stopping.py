"""Ctrl-C, SIGTERM, and a reader that goes away: a command cleans up as after any failure, says what stands, and ends
with 128 and the signal's number.

A second signal ends it at once. Invariant: the signal becomes an exception, so that what every command does on its way
out (`finally`, drafts that are removed) is what it does here; a process of the gateway itself, and a command that
serves until it is told to stop, end in their own way.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from itertools import takewhile
from types import FrameType
from typing import Final, NoReturn

from contracts.base.words import Words
from gateway.cli.common.output import Exit, fail

GONE: Final = 128 + 13  # SIGPIPE, as a shell counts it; Windows has no such signal
_CHILD: Final = "--lifeline"  # a process that a supervisor holds
_NAME: Final = re.compile(r"[a-z][a-z-]*")  # of a command
_AGAIN: Final = Words("Chạy lại lệnh khi cần.", "Run it again when you need it.")
_LOOK: Final = Words(
    "Cổng trao đổi dữ liệu có thể đã thực hiện: hãy kiểm tra trước khi chạy lại.",
    "The gateway may have done it all the same: look, before you run it again.",
)
_REPEATED: Final = Words(
    "Nếu thông điệp đã gửi đi, hãy gửi lại cùng mã bằng --id.",
    "If the message was sent, repeat it under the same id with --id.",
)
_STANDS: Final[dict[str, Words]] = {
    "audit verify": Words(
        "Chưa kết luận gì về nhật ký. Chạy lại, hoặc kiểm tra từng phần bằng --from-index, --to-index.",
        "Nothing was concluded of the log. Run it again, or check it in parts with --from-index and --to-index.",
    ),
    "audit export": Words(
        "Thư mục có manifest.json thì bản xuất đầy đủ; nếu không thì không để lại gì. Nhật ký ghi"
        " nếu đã bắt đầu. Chạy lại, hoặc xuất từng phần bằng --from, --to.",
        "A folder with its manifest.json is a whole export; else nothing is left there. If it was"
        " begun, that stands in the log. Run it again, or in parts with --from and --to.",
    ),
    "audit package": Words(
        "Gói đã có thì đầy đủ; nếu chưa có thì không để lại gì. Nhật ký ghi nếu đã yêu cầu. Chạy lại.",
        "A package that is there is whole; else nothing is left. If it was asked for, that stands"
        " in the log. Run it again.",
    ),
    "audit reindex": Words(
        "Chỉ mục mới làm được một phần; tìm kiếm vẫn đúng nhưng chậm. Tiến trình giữ nhật ký tự"
        " làm tiếp, hoặc chạy lại.",
        "The index goes as far as it came; searches stay right, and are slow. The keeper goes on"
        " with it, or run it again.",
    ),
    "audit stamp": Words(
        "Có thể đã có dấu thời gian; xem `lgsp audit stamps`.", "It may have been stamped; see `lgsp audit stamps`."
    ),
    "backup": Words(
        "Thư mục đã có thì bản sao lưu đầy đủ (`lgsp backup check`); nếu chưa có thì không để lại gì. Chạy lại.",
        "A folder that is there is a whole backup (`lgsp backup check`); else nothing is left. Run it again.",
    ),
    "backup check": Words(
        "Chưa kết luận gì về bản sao lưu. Chạy lại.", "Nothing was concluded of the backup. Run it again."
    ),
    "restore confirm": Words(
        "Đã xác nhận nếu `lgsp restore confirm` nói vậy; nếu chưa, các cửa vẫn đóng. Chạy lại.",
        "It is confirmed if `lgsp restore confirm` says so; else the doors stay closed. Run it again.",
    ),
    "restore": Words(
        "Thư mục mới đã có thì khôi phục đã xong (`lgsp restore confirm`); nếu chưa có, hãy chạy lại đúng lệnh này.",
        "A new folder that is there is restored whole (`lgsp restore confirm`); else run it"
        " again, with the same words.",
    ),
    "bench": Words("Không có số đo nào. Chạy lại.", "Nothing was measured. Run it again."),
    "demo": Words(
        "Phiên bản thử đã dừng. Chạy lại từ đầu bằng `lgsp demo`.",
        "The demo's instance has ended. `lgsp demo` begins anew.",
    ),
    "up": Words(
        "Phiên bản đã có thì còn nguyên; phiên bản đang tạo dở thì không để lại gì. Chạy lại `lgsp up`.",
        "An instance that was there stands as it was; of one that was being made nothing is left. Run `lgsp up` again.",
    ),
    "vault expire": Words(
        "Khóa đã hủy thì không lấy lại được; khóa chưa hủy vẫn còn. Xem `lgsp vault status`, rồi chạy lại.",
        "Keys that were destroyed stay so, the others stand. See `lgsp vault status`, then run it again.",
    ),
    "vault hold add": Words(
        "Lệnh lưu giữ đã có hiệu lực nếu `lgsp vault hold list` liệt kê nó; tiến trình giữ nhật ký làm nốt.",
        "The hold is in place if `lgsp vault hold list` names it; the keeper completes it.",
    ),
    "keys protect": Words(
        "Tệp nào đã bảo vệ vẫn được bảo vệ. Chạy lại để làm tiếp.",
        "What was protected stays so. Run it again to go on.",
    ),
    "keys rotate": Words("Xem `lgsp keys show` trước khi chạy lại.", "See `lgsp keys show` before you run it again."),
    "client call": _REPEATED,
    "client soap": _REPEATED,
    "client join": Words(
        "Chạy lại với cùng --out: lệnh làm tiếp, không đăng ký hai lần.",
        "Run it again with the same --out: it goes on, and nobody is admitted twice.",
    ),
    "client feed": Words(
        "Đọc không làm thay đổi gì. Đọc tiếp bằng --after với con trỏ cuối cùng.",
        "Reading changes nothing. Go on with --after and the last cursor.",
    ),
    "client case": _LOOK,
    "client file-send": _LOOK,
}


class Stopped(BaseException):
    """A person or the system asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number: Final = number

    @property
    def code(self) -> int:
        return 128 + self.number


def heed(words: Sequence[str]) -> None:
    """Turn the signals into `Stopped`, unless whoever started the command had them ignored."""
    if _CHILD in words:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(number)


def stands(words: Sequence[str]) -> tuple[str, Words]:
    """The command as it was called, and what is there now that it was stopped."""
    named = [each for each in words if not each.startswith("-")]
    for length in (3, 2, 1):
        name = " ".join(named[:length])
        if name in _STANDS:
            return name, _STANDS[name]
    # What is not the name of a command may be the address of a database with its password.
    names = takewhile(_NAME.fullmatch, words[:2])
    return " ".join(names) or "lgsp", _AGAIN


def tell(stopped: Stopped, words: Sequence[str], as_json: bool) -> NoReturn:
    name, standing = stands(words)
    what = f"{name} was stopped ({stopped}) / đã dừng {name}"
    fail(stopped.code, "stopped", what, f"{standing.en} / {standing.vi}", as_json)


def unwritten() -> OSError | None:
    """Why standard output does not take the rest of what was said: nobody reads it any more, as after `lgsp … | head
    -1`, or its disk is full."""
    if sys.stdout is None:  # closed by whoever started the command, who wants to hear nothing
        return None
    try:
        sys.stdout.flush()
    except OSError as trouble:
        return trouble
    return None


def end_unread(trouble: OSError) -> NoReturn:
    if sys.stdout is not None:  # so that the end of the process writes there no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(trouble, BrokenPipeError):
        raise SystemExit(GONE) from None
    what = f"standard output cannot be written: {trouble.strerror} / không ghi được đầu ra chuẩn"
    fail(Exit.OURS, "disk", what, "Make room, then run it again. / Giải phóng dung lượng rồi chạy lại.", as_json=False)
