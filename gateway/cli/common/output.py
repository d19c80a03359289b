"""How a command speaks: text for people on standard output, one JSON object for programs, trouble on standard error.

Exit codes: 0 all well, 1 the answer is no, 2 wrong usage, 3 ours. Like mistakes end alike: `exit_of` says so for what
the rooms below raise, `common.arguments` and `common.name_checks` for what a command reads by itself.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TextIO

from contracts.base.errors import Branch, Failure, Finding
from contracts.base.visible import visible
from contracts.base.words import Language, Words
from contracts.wire.jsontext import text_of

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
# Failures by which the rooms below tell a wrong word of the command line: usage, as when a command finds it by itself.
MISTAKEN: Final = frozenset(
    {
        *(
            "feed.unknown",
            "registry.unknown",
            "report.unknown",
            "vault.hold-unknown",
            "audit.no-origin",
            "account.role-unknown",
            "account.unknown",
            "console.ambiguous-name",
            "console.unknown-name",
            "machine.unknown",
        ),  # a name that nobody knows
        *("registry.no-history", "registry.past-lost"),  # a time of which nothing is known
        *("audit.bad-cursor", "feed.bad-cursor", "reconciliation.day-open", "vault.hold-wrong", "vault.no-reason"),
        # A place or a name that is taken, or a name that is none.
        *("account.taken", "backup.taken", "machine.name", "machine.name-taken", "registry.key-taken"),
        "vault.hold-stands",
        *(
            "backup.none",
            "backup.unwritable",
            "client.identity",
            "client.identity-expired",
            "client.identity-mode",
            "client.taken",
            "client.usage",
        ),
        *(
            "agent.configuration",
            "import.too-large",
            "import.unreadable",
            "key.password",
            "key.unacceptable",
            "machine.invitation",
            "reconciliation.invalid",
            "registry.invalid",
        ),
    }
)

if TYPE_CHECKING:
    from gateway.settings import BadSetting


class Exit(IntEnum):
    WELL = 0
    NO = 1
    USAGE = 2
    OURS = 3


def exit_of(code: str, branch: Branch, *, refused: bool = False) -> Exit:
    """How a command ends by a failure. `refused`: a gateway said so over the network, which is its answer and never
    wrong usage."""
    return Exit.USAGE if code in MISTAKEN and not refused else Exit.OURS if branch is Branch.OURS else Exit.NO


def emit(result: dict[str, Any], as_json: bool, text: str, *, ends: int | None = None) -> NoReturn:
    """Print the result in one form or the other and end with the exit code that `ok` asks for, or with that of the
    signal that cut it short."""
    if as_json or text:
        say(text_of(_plain(result)) if as_json else text)
    raise SystemExit(ends if ends is not None else Exit.WELL if result["ok"] else Exit.NO)


def say(text: str, *, end: str = "\n", to: TextIO | None = None, flush: bool = False) -> None:
    """Prints on standard output, or `to` another stream. A terminal gets what it would obey or not show as escapes of
    JSON, which leave JSON what it is. A file or a pipe gets the text as it is."""
    stream = sys.stdout if to is None else to
    if stream is not None:  # closed
        print(visible(text, lines=True) if stream.isatty() else text, end=end, file=stream, flush=flush)


def _plain(value: Any) -> Any:
    """What JSON has stays, numbers with their digits; all else becomes text."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return Decimal(repr(value))
    return value if value is None or isinstance(value, (str, int, Decimal)) else str(value)


def finding_json(finding: Finding) -> dict[str, str]:
    return {
        "here": finding.here,
        "canonical": finding.canonical,
        "got": finding.got,
        "rule": finding.rule,
        "expected": finding.expected,
    }


def fail(code: int, name: str, what: str, what_next: str, as_json: bool) -> NoReturn:
    """End with an error: what, why, and what to do next."""
    if as_json:
        say(json.dumps({"ok": False, "error": {"code": name, "what": what, "next": what_next}}, ensure_ascii=False))
    else:
        print(
            visible(f"lgsp: {what}\n      {what_next}" if what_next else f"lgsp: {what}", lines=True), file=sys.stderr
        )
    raise SystemExit(code)


def bad_setting(trouble: BadSetting, as_json: bool, *, answers: bool = False) -> NoReturn:
    """A setting that says something impossible, whichever command meets it. `answers`: an answer to `lgsp setup`."""
    then = "See docs/settings.md for all settings. / Xem docs/settings.md để biết các thiết lập."
    if answers:
        then = (
            "docs/operating.md shows the answers, docs/settings.md all settings. / Xem tệp trả lời mẫu trong"
            " docs/vi/operating.md, các thiết lập trong docs/settings.md."
        )
    fail(Exit.USAGE, "bad-setting", f"{trouble.words.en} / {trouble.words.vi}", then, as_json)


def unread(trouble: OSError, file: object = None) -> tuple[str, str]:
    """That a file cannot be read, and why, in English and Vietnamese. `file`: where the error names none."""
    import gateway.errors  # noqa: F401  its phrases have what the operating system says
    from contracts.base.phrases import vietnamese

    name, why = trouble.filename or file, trouble.strerror or str(trouble)
    named = f" {name}" if name else ""
    return f"the file{named} cannot be read: {why}", f"không đọc được tệp{named}: {vietnamese(why)}"


def not_written(path: object, trouble: OSError, as_json: bool) -> NoReturn:
    """A full disk is ours; a place that cannot be written to is the wrong one."""
    code = Exit.OURS if trouble.errno in FULL else Exit.USAGE
    what = f"{path} cannot be written: {trouble.strerror or trouble} / không ghi được"
    fail(
        code,
        "not-written",
        what,
        "Make room, let this user write there, or name another place."
        " / Giải phóng dung lượng, cho tài khoản này ghi vào đó, hoặc chọn nơi khác.",
        as_json,
    )


def finding_line(finding: Finding) -> str:
    """One finding in one line: where, the rule, what would have been right and what was found; a mark left in a draft
    with its hint alone."""
    return visible(_finding_line(finding))


def _both(english: str) -> str:
    from contracts.base.phrases import vietnamese

    phrase = vietnamese(english)
    return english if phrase == english else f"{phrase} / {english}"


def _finding_line(found: Finding) -> str:
    where = found.here or found.canonical
    if found.rule == "left-open":
        return f"{where}: {found.got}: {found.expected}"
    if found.rule == "unsupported":
        said = f"{_both(found.got)}; thay bằng / instead: {_both(found.expected)}"
        return f"{where}: unsupported: bảng ánh xạ không nói được / a table cannot say: {said}"
    got = f"; thấy / found: {_both(found.got)}" if found.got else ""
    text = f"{found.rule}: {_both(found.expected)}{got}"
    of = "" if found.canonical in f"{where} {text}" else f" ({found.canonical})"
    return f"{where}{of}: {text}"


class Worded(Protocol):
    """A failure, or what a gateway refused with: both have words in two languages."""

    @property
    def code(self) -> str: ...
    @property
    def findings(self) -> Sequence[Finding]: ...
    def what(self, language: Language, /) -> str: ...
    def next(self, language: Language, /) -> str: ...


def told(failure: Worded, then: Words | None = None) -> tuple[str, str]:
    """What is wrong and what to do next, in both languages. `then`: where the command knows that better."""
    findings = "".join(f"\n      {finding_line(item)}" for item in failure.findings)
    what = f"{failure.what('en')} / {failure.what('vi')} [{failure.code}]{findings}"
    return what, f"{then.en} / {then.vi}" if then is not None else f"{failure.next('en')} / {failure.next('vi')}"


def failed(code: Exit, failure: Worded, as_json: bool, *, then: Words | None = None) -> NoReturn:
    what, following = told(failure, then)
    fail(code, failure.code, what, following, as_json)


def warn(failure: Worded) -> None:
    """On standard error, and go on: what follows is shown as it is, and is not to be relied on."""
    print(visible(f"lgsp: {failure.what('en')} / {failure.what('vi')} [{failure.code}]", lines=True), file=sys.stderr)


_NOT_WRITABLE: Final = ("attempt to write a readonly database", "unable to open database file")
_LOOK: Final = Words(
    en="It may have been done all the same: look, before you give the command again.",
    vi="Việc có thể đã được thực hiện: hãy kiểm tra trước khi chạy lại lệnh.",
)


@contextmanager
def failures_as_exits(as_json: bool) -> Iterator[None]:
    """A failure of any branch becomes an exit code and words in both languages."""
    try:
        yield
    except Failure as failure:
        failed(exit_of(failure.code, failure.branch), failure, as_json)
    except Exception as trouble:
        exc = sys.modules.get("sqlalchemy.exc")  # a command that asked no database does not load it for this
        if exc is None or not isinstance(trouble, exc.SQLAlchemyError):
            raise
        from gateway.journal.limits import exactly, may_stand

        then = _LOOK if may_stand(trouble) else None
        if (exact := exactly(trouble)) is not None:
            failed(exit_of(exact.code, exact.branch), exact, as_json, then=then)
        _database(trouble, as_json, then)


def _database(trouble: Exception, as_json: bool, look: Words | None) -> NoReturn:
    """`look`: what to do where the act may stand."""
    from gateway.journal.limits import only_standby, unreached

    first = str(getattr(trouble, "orig", None) or trouble).partition("\n")[0]
    if only_standby(trouble):
        what = f"only a standby of the database answers: {first} / chỉ bản dự phòng của cơ sở dữ liệu trả lời: {first}"
        then = (
            "Bring the primary back. If it is lost, promote the standby (docs/operating.md, The primary is lost)."
            " / Khôi phục máy chủ chính; nếu đã mất, nâng bản dự phòng lên (docs/vi/operating.md)."
        )
    elif unreached(trouble):
        what = f"the database cannot be reached: {first} / không kết nối được cơ sở dữ liệu: {first}"
        then = (
            "Check that the server runs, that the address is right, and that the database is there (CREATE DATABASE …"
            " OWNER …). / Kiểm tra máy chủ có chạy, địa chỉ có đúng và cơ sở dữ liệu đã được tạo chưa (CREATE DATABASE"
            " … OWNER …)."
        )
    elif first.startswith(_NOT_WRITABLE):  # words of SQLite
        what = f"the file of the database cannot be written: {first} / không ghi được tệp cơ sở dữ liệu: {first}"
        then = (
            "Check owner and mode of the data folder and of lgsp.db, and whether the disk is mounted read-only. / Kiểm"
            " tra chủ sở hữu, quyền của thư mục dữ liệu và của lgsp.db, và ổ đĩa có bị gắn ở chế độ chỉ đọc không."
        )
    else:
        what = f"the database does not answer as it should: {first} / cơ sở dữ liệu không trả lời đúng: {first}"
        then = (
            "After an update start the instance once (`lgsp up`), which brings the database up to date; else see `lgsp"
            " doctor`. / Sau khi cập nhật hãy khởi động phiên bản một lần (`lgsp up`); nếu không, xem `lgsp doctor`."
        )
    fail(Exit.OURS, "database", what, then if look is None else f"{look.en} / {look.vi}", as_json)
