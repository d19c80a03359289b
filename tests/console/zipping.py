"""Zip archives and forms with files, as a browser sends them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from gateway.console.accounts import secrets
from tests.console.people import HOST, Person
from tests.doors.api.client import Answer, ask

MARK = "-----------------------------8213794"


def zipped(files: Mapping[str, bytes], folder: str = "") -> bytes:
    """An archive of files, in a folder of this name."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}" if folder else name, content)
    return raw.getvalue()


def form(fields: Mapping[str, str], name: str, content: bytes, called: str = "contract.zip") -> bytes:
    parts = [
        f'--{MARK}\r\ncontent-disposition: form-data; name="{each}"\r\n\r\n{text}' for each, text in fields.items()
    ]
    head = f'--{MARK}\r\ncontent-disposition: form-data; name="{name}"; filename="{called}"\r\n'
    last = f"{head}content-type: application/zip\r\n\r\n".encode() + content + f"\r\n--{MARK}--\r\n".encode()
    return b"".join(f"{each}\r\n".encode() for each in parts) + last


async def upload(
    person: Person, target: str, name: str, content: bytes, called: str = "contract.zip", **fields: str
) -> Answer:
    """With the origin and the token of the form."""
    given = {"csrf": secrets.csrf_of(person.cookie.partition("=")[2]), **fields}
    headers = {
        "host": HOST,
        "origin": f"https://{HOST}",
        "cookie": person.cookie,
        "accept-language": person.language,
        "content-type": f"multipart/form-data; boundary={MARK}",
    }
    return await ask(person.desk.app, "POST", target, headers, form(given, name, content, called))
