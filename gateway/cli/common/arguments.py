"""What is given on the command line, read the same way by every command: times, reasons, files, folders, keys,
checkpoints.

What cannot be read is wrong usage (exit code 2), under one code and in the same words wherever it happens;
`docs/commands.md` lists them. Invariant: nothing of the server is loaded here, so that the commands of the kit run
where only that is installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from contracts.base.times import rfc3339
from gateway.cli.common.output import Exit, fail, unread

if TYPE_CHECKING:
    from security.transparency.checkpoint import NamedKey, NoteKey

K = TypeVar("K", bound="NamedKey")
_NOTE = (
    "Name a file that holds a checkpoint as /audit/checkpoint gives it."
    " / Chỉ tệp chứa điểm kiểm tra như /audit/checkpoint trả về."
)
LEAST_REASON: Final = 10  # characters
_TRANSFER: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def moment(text: str, as_json: bool, *, whole_day: bool = False) -> float:
    """A day or a moment; without an offset it is the time in Vietnam. `whole_day`: of a day, its end."""
    from security.grants.windows import moment as moment_of

    try:
        at = moment_of(text, whole_day=whole_day)
        rfc3339(at)
    except (ValueError, OverflowError, OSError):
        what = f"{text} is no time / không phải thời điểm"
        then = (
            "Write 2026-12-01, or 2026-12-01T17:30; without an offset it is the time in Vietnam."
            " / Viết như 2026-12-01T17:30, giờ Việt Nam."
        )
        fail(Exit.USAGE, "no-time", what, then, as_json)
    return at


def content(file: Path, what: str, as_json: bool) -> bytes:
    """The bytes of a file, or of standard input (`-`); `what` says in both languages which file is meant."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as trouble:
        en, vi = unread(trouble, file)
        fail(Exit.USAGE, "no-file", f"{en} / {vi}", what, as_json)


def private_key(file: Path, what: str, as_json: bool) -> bytes:
    """The private key of a person, in PEM; `what` as for `content`."""
    pem = content(file, what, as_json)
    if b"PRIVATE KEY" not in pem:
        public = f"{file} is a public key / {file} là khóa công khai"
        found = public if b"PUBLIC KEY" in pem else f"{file} is no private key / {file} không phải khóa bí mật"
        then = "Name the file of the private key (PEM). / Chỉ tệp khóa bí mật (PEM)."
        fail(Exit.USAGE, "key.unacceptable", found, then, as_json)
    return pem


def certificate_request(file: Path, as_json: bool) -> bytes:
    """What a file with a certificate request has, once it can be one in PEM."""
    pem = content(file, "Name a PEM file. / Chỉ một tệp PEM.", as_json)
    if b"-----BEGIN" not in pem:
        empty = f"{file} is empty / {file} là tệp trống"
        what = f"{file} is no PEM file / {file} không phải tệp PEM" if pem.strip() else empty
        then = "Name a request in PEM (`lgsp client keygen`). / Chỉ tệp yêu cầu chứng thư dạng PEM (.csr)."
        fail(Exit.USAGE, "key.unacceptable", what, then, as_json)
    return pem


def new_file(file: Path, as_json: bool) -> Path:
    """A path where nothing stands, in a folder that is there."""
    if file.exists() or file.is_symlink():
        what = f"{file} is there already / đã có sẵn"
        fail(Exit.USAGE, "there-already", what, "Name one that is not there yet. / Chọn tên chưa có.", as_json)
    if not file.parent.is_dir():
        what = f"the folder {file.parent} is not there / chưa có thư mục này"
        fail(Exit.USAGE, "no-folder", what, "Make it, or name another. / Tạo thư mục đó, hoặc chọn nơi khác.", as_json)
    return file


def empty_folder(folder: Path, as_json: bool) -> Path:
    """An empty or missing folder; it is not made here."""
    if folder.exists() and not folder.is_dir() or folder.is_dir() and any(folder.iterdir()):
        what = f"{folder} is not empty / không trống"
        fail(
            Exit.USAGE,
            "not-empty",
            what,
            "Name an empty or missing folder. / Chỉ một thư mục trống hoặc chưa có.",
            as_json,
        )
    return folder


def named_key(kind: type[K], text: str) -> K:
    """The public key that `text` is, or that stands in the file it names. Raises OSError or ValueError."""
    path = Path(text)
    return kind.from_text(path.read_text("utf-8").strip() if path.is_file() else text)


def log_key(text: str, as_json: bool) -> NoteKey:
    """The verifier key of a log."""
    from security.transparency.checkpoint import NoteKey

    try:
        return named_key(NoteKey, text)
    except (OSError, ValueError) as trouble:
        what = (
            f"{text} is neither a verifier key nor a file that holds one ({trouble})"
            " / không phải khóa kiểm tra, cũng không phải tệp chứa khóa"
        )
        then = (
            "A key is one line like NAME+HASH+BASE64, as in log.vkey."
            " / Khóa là một dòng dạng TÊN+MÃ+BASE64, như trong log.vkey."
        )
        fail(Exit.USAGE, "bad-key", what, then, as_json)


def checkpoint(path: Path, as_json: bool) -> str:
    """The text of a signed checkpoint, whoever signed it: that is looked at later, and tells of the log."""
    from security.transparency.checkpoint import Checkpoint, split_note

    try:
        note = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        what = f"the checkpoint {path} cannot be read ({trouble}) / không đọc được điểm kiểm tra {path} ({trouble})"
        fail(Exit.USAGE, "no-file", what, _NOTE, as_json)
    try:
        Checkpoint.from_text(split_note(note)[0])
    except ValueError as trouble:
        what = f"{path} holds no signed checkpoint ({trouble}) / không phải điểm kiểm tra đã ký"
        fail(Exit.USAGE, "bad-checkpoint", what, _NOTE, as_json)
    return note


def transfer_id(text: str, as_json: bool, *, at_system: bool = False) -> str:
    """The id of a transfer in small letters, as the log has it. Another thing is most likely the id of a message:
    `audit journey` takes that, which a system has not (`at_system`)."""
    import shlex

    id = text.strip().lower()
    if _TRANSFER.fullmatch(id) is None:
        then = f"For a message's id: / Với mã thông điệp: lgsp audit journey {shlex.quote(text)} --system SYSTEM"
        if at_system:
            then = (
                "It stands in each answer as Lgsp-Transfer."
                " / Mã giao dịch nằm trong trường Lgsp-Transfer của mỗi câu trả lời."
            )
        fail(Exit.USAGE, "no-transfer-id", f"{text} is no id of a transfer / không phải mã giao dịch", then, as_json)
    return id


def reason_of(reason: str, as_json: bool) -> str:
    """The reason of an act, long enough for whoever reads the log."""
    if len(reason.strip()) < LEAST_REASON:
        then = "Say why: the log keeps it. / Nêu lý do: nhật ký lưu lại."
        what = f"the reason has fewer than {LEAST_REASON} characters / lý do quá ngắn"
        fail(Exit.USAGE, "no-reason", what, then, as_json)
    return reason.strip()
