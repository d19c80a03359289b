"""The questions of `lgsp setup` at a terminal: a wrong answer is told at once, and the same is asked again.

What was typed is kept in a file where the command does not come to its end, also by Ctrl-C: nobody types it twice.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
import yaml

from gateway.durable import write_new
from gateway.setup.answers import Answers, check, from_values

_MOST_FILES: Final = 100
_ENOUGH_OFFICERS: Final = 3  # one may apply a document, and two others sign it
_FIRST: Final = {
    "name": "Tên, ghi trong chứng thư của cơ quan chứng thực / Name, in the authority's certificates",
    "public_base": "Địa chỉ mà các hệ thống gọi tới / Address that component systems call (https://…)",
    "desk_base": "  Địa chỉ các trang cho người dùng; để trống: chỉ trên máy này"
    " / Address of the pages for people (https://…); empty: on this machine alone",
    "secret_file": "Tệp bí mật mã hóa các khóa; chưa có thì được tạo / File of the keys' secret, made if missing",
    "root_key_to": "  Thư mục nhận khóa gốc, trên vật lưu giữ ngoài máy; để trống: khóa ở lại trên máy"
    " / Folder for the root's key, on a medium; empty: it stays here",
}
_LAST: Final = {
    "registry": "Tệp tài liệu đăng ký đầu tiên; để trống: làm sau / File of the first registry document; empty: later",
    "database": "PostgreSQL (postgresql://lgsp:…@db1/lgsp, hai máy / two servers:"
    " postgresql://lgsp:…@/lgsp?host=db1&host=db2&target_session_attrs=read-write);"
    " để trống / empty: SQLite",
}
_MAY_BE_EMPTY: Final = frozenset({"desk_base", "root_key_to", "agency_name", *_LAST})
_OF_PERSON: Final = {
    "id": "Mã / Id",
    "agency": "Mã đơn vị / Code of the agency",
    "agency_name": "Tên đơn vị; để trống: đã nêu / Name of the agency; empty: told before",
    "name": "Chức danh / Office",
    "key": "Tệp khóa công khai / File of the public key",
}


def asked(values: dict[str, Any]) -> Answers:
    """Asks, and fills `values` as a file has them."""
    for name, text in _FIRST.items():
        values[name] = _answer(name, text)
    values |= {"officers": [], "people": []}
    for what in ("officers", "people"):
        while _person(what, values):
            pass
    for name, text in _LAST.items():
        values[name] = _answer(name, text)
    return _of(values)


def _of(values: dict[str, Any]) -> Answers:
    return from_values({name: each for name, each in values.items() if each}, Path.cwd())


def _person(what: str, values: dict[str, Any]) -> bool:
    """Asks for the next officer, or who operates. False where there is no other one."""
    known, number = [*values["officers"], *values["people"]], len(values[what]) + 1
    if what == "officers":
        title, ends = f"Cán bộ thứ {number} / Officer {number}", number > 2
    else:
        title = "Người vận hành / Who operates" + (f" ({number})" if number > 1 else "")
        ends = number > 1 or len(known) >= _ENOUGH_OFFICERS
    typer.echo(title, err=True)
    person: dict[str, str] = {"role": "operator"} if what == "people" else {}
    for name, text in _OF_PERSON.items():
        last = name == "id" and ends
        said = f"  {text}" + ("; để trống: không còn ai / empty: nobody else" if last else "")
        taken = {each.get(name) for each in known} if name in ("id", "key") else set()
        given = _answer(name, said, optional=last, taken=taken)
        if name == "id":
            if not given:
                return False
            values[what].append(person)
        person[name] = given
    return True


def _answer(name: str, text: str, *, optional: bool = False, taken: Container[str | None] = ()) -> str:
    from gateway.settings import BadSetting

    default = "" if optional or name in _MAY_BE_EMPTY else None
    while True:
        given = str(typer.prompt(text, default=default, show_default=False, err=True)).strip()
        if given in taken:
            typer.echo("  đã dùng cho người khác / another person has it", err=True)
            continue
        try:
            if given or default is None:
                check(name, given, Path.cwd())
        except BadSetting as trouble:
            typer.echo(f"  {trouble.words.vi} / {trouble.words.en}", err=True)
        except OSError as trouble:
            typer.echo(f"  {trouble.filename}: {trouble.strerror}", err=True)
        else:
            return given


@contextmanager
def kept(values: dict[str, Any]) -> Iterator[None]:
    """Around all that may fail after a first answer."""
    hung_up = signal.signal(signal.SIGHUP, _hang_up)  # the terminal was closed
    try:
        yield
    except BaseException:
        if given := {name: each for name, each in values.items() if each}:
            with suppress(OSError):  # nobody may be left to be told
                _keep(given)
        raise
    finally:
        signal.signal(signal.SIGHUP, hung_up)


def _hang_up(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _keep(given: dict[str, Any]) -> None:
    content = yaml.safe_dump(given, allow_unicode=True, sort_keys=False).encode()
    names = ["lgsp-setup.yaml", *(f"lgsp-setup-{number}.yaml" for number in range(2, _MOST_FILES))]
    for name in names:
        try:
            write_new(Path(name), content)
        except FileExistsError:
            continue
        except OSError as trouble:
            typer.echo(f"answers were not kept: {trouble} / chưa lưu được các câu trả lời", err=True)
            return
        typer.echo(
            f"Câu trả lời được giữ trong {name}: sửa rồi chạy lại"
            f" / The answers are kept in {name}: correct them, then: lgsp setup {shlex.quote(name)}",
            err=True,
        )
        return
