"""Reads forms with files: `multipart/form-data` (RFC 7578), in one pass over a body that was bounded before.

Invariant: the cost is linear in the body's length; the parts are counted before their heads are read.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.console.errors import CONSOLE_FORM

MEDIA: Final = "multipart/form-data"
MOST_PARTS: Final = 100
MOST_HEAD: Final = 1_000  # bytes of the header fields of a part
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")  # RFC 2046, 5.1.1, without the blank
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,60}")


class Form(NamedTuple):
    """Fields by name, of a repeated one the values with line feeds between; files by name, one of each."""

    fields: dict[str, str]
    files: dict[str, bytes]


def boundary_of(content_type: str) -> bytes:
    """Raises `console.form`."""
    for each in content_type.split(";")[1:]:
        name, _, value = each.strip().partition("=")
        if name.lower() == "boundary" and _BOUNDARY.fullmatch(value := value.strip('"')):
            return value.encode()
    raise _refused("no boundary")


def read(body: bytes, boundary: bytes) -> Form:
    """Raises `console.form`."""
    mark = b"\r\n--" + boundary
    whole = b"\r\n" + body
    if whole.count(mark) > MOST_PARTS + 1:
        raise _refused(f"more than {MOST_PARTS} parts")
    first, *parts = whole.split(mark)
    if first or not parts or parts[-1].rstrip() != b"--":
        raise _refused("its parts do not begin and end with the boundary")
    form = Form({}, {})
    for part in parts[:-1]:
        _part(form, part)
    return form


def _part(form: Form, part: bytes) -> None:
    end = part.find(b"\r\n\r\n", 0, MOST_HEAD)
    if not part.startswith(b"\r\n") or end < 0:
        raise _refused("a part without a head")
    name, is_file = _described(part[2:end])
    content = part[end + 4 :]
    if is_file:
        if name in form.files:
            raise _refused("a file twice")
        form.files[name] = content
        return
    try:
        value = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("not in UTF-8") from None
    form.fields[name] = f"{form.fields[name]}\n{value}" if name in form.fields else value


def _described(head: bytes) -> tuple[str, bool]:
    """The name of a part, and whether it is a file. What the file was called is not read."""
    for line in head.decode("latin-1").split("\r\n"):
        field, _, value = line.partition(":")
        if field.strip().lower() == "content-disposition":
            kind, *parameters = value.split(";")
            names = [each.strip() for each in parameters]
            found = [each[6:-1] for each in names if each.startswith('name="') and each.endswith('"')]
            if kind.strip().lower() == "form-data" and len(found) == 1 and _NAME.fullmatch(found[0]):
                return found[0], any(each.startswith(("filename=", "filename*=")) for each in names)
    raise _refused("a part without a name")


def _refused(why: str) -> Exception:
    return CONSOLE_FORM(field="-", why=f"{MEDIA}: {why}")
