"""Readers of what comes to the doors before and around a message: framing, costs, answers of the reading process,
workbooks; and of what people upload: archives, forms with files."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Iterable

from contracts.base.zips import open_zip
from contracts.codecs.cells.xlsxparts import open_book
from contracts.folder.zipped import unpacked
from gateway.console.site import multipart
from gateway.doors.http import costs
from gateway.doors.http import reader as process
from gateway.doors.http.framing import Framing
from gateway.sample_client import jsontext as client_json
from tests.attacks.readers_wire import again
from tests.attacks.reading import Try, reader

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
BYTES: dict[str, Callable[[int], bytes]] = {
    "letters": again(b"a"),
    "empty lines": again(b"\r\n"),
    "fields": again(b"a: b\r\n", HEAD, b"\r\n"),
    "a field without an end": again(b"a", HEAD + b"a: "),
    "colons": again(b":", HEAD),
    "spaces": again(b" ", b"GET "),
    "requests": again(HEAD + b"\r\n"),
    "chunks": again(b"1\r\na\r\n", CHUNKED, b"0\r\n\r\n"),
    "extensions": again(b"1;a=b\r\na\r\n", CHUNKED),
    "an extension without an end": again(b";a", CHUNKED + b"1"),
    "trailers": again(b"a: b\r\n", CHUNKED + b"0\r\n"),
    "line feeds": again(b"\n", HEAD),
}
JSON: dict[str, Callable[[int], bytes]] = {
    "an unterminated string": again(b'\\"', b'"'),
    "numbers": again(b"1,", b"[", b"1]"),
    "names": lambda n: b"{" + b",".join(b'"%d":1' % at for at in range(n)) + b"}",
    "large exponents": again(b"1e999,", b"[", b"1]"),
    "brackets": again(b"["),
}


def in_pieces(raw: bytes) -> None:
    """As they come from a line: a thousand bytes at a time."""
    framing = Framing()
    for at in range(0, len(raw), 1_000):
        _, trouble = framing.take(raw[at : at + 1_000])
        if trouble is not None:
            return


@reader("gateway.doors.http.framing:Framing.take")
def framed() -> Iterable[Try]:
    for name, make in BYTES.items():
        yield Try(name, lambda raw: Framing().take(raw), make)
        yield Try(f"in pieces: {name}", in_pieces, make)


@reader("gateway.doors.http.costs:estimate", "gateway.doors.http.costs:is_costly")
def counted() -> Iterable[Try]:
    for name, make in {**BYTES, **JSON}.items():
        yield Try(name, costs.estimate, make)
        yield Try(f"costly: {name}", costs.is_costly, make)


@reader("gateway.doors.http.reader:read", "gateway.doors.http.reader:unpacked")
def answered() -> Iterable[Try]:
    for name, make in JSON.items():
        yield Try(name, lambda raw: process.read(process.Job(raw), {}), make)
    yield Try("values", process.unpacked, lambda n: pickle.dumps((0.0, ["a"] * n)))
    yield Try("values in each other", process.unpacked, lambda n: b"]" * n + b".")


@reader("gateway.sample_client.jsontext:load_json", "gateway.sample_client.jsontext:in_words")
def clients() -> Iterable[Try]:
    for name, make in JSON.items():
        yield Try(name, client_json.load_json, make)
        yield Try(f"in words: {name}", client_json.in_words, make)


def _archive(parts: int) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as book:
        for number in range(min(parts, 2_000)):
            book.writestr(f"part{number}.xml", b"<a/>")
    return raw.getvalue()


@reader("contracts.codecs.cells.xlsxparts:open_book")
def workbooks() -> Iterable[Try]:
    yield Try("letters", open_book, again(b"a"))
    yield Try("beginnings of entries", open_book, again(b"PK\x01\x02"))
    yield Try("ends of archives", open_book, again(b"PK\x05\x06" + bytes(18)))
    yield Try("parts", open_book, _archive, 2_000)


def _contract(files: int) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("a/v1/contract.yaml", b"shared_codes: [x]")
        for number in range(min(files, 1_900)):
            book.writestr(f"a/v1/file{number}.json", b"{}" * 10)
    return raw.getvalue()


def _deep(depth: int) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("a/" * min(depth, 30_000) + "contract.yaml", b"x")
    return raw.getvalue()


def _flat(size: int) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("contract.yaml", bytes(size))
    return raw.getvalue()


@reader("contracts.base.zips:open_zip", "contracts.folder.zipped:unpacked")
def archives() -> Iterable[Try]:
    yield Try("letters", lambda raw: open_zip(raw, 2_000), again(b"a"))
    yield Try("beginnings of entries", unpacked, again(b"PK\x01\x02"))
    yield Try("ends of archives", unpacked, again(b"PK\x05\x06" + bytes(18)))
    yield Try("files", unpacked, _contract, 1_900)
    yield Try("folders in folders", unpacked, _deep, 30_000)
    yield Try("a file that unpacks to much", unpacked, _flat)


FORM = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n'
FORMS: dict[str, Callable[[int], bytes]] = {
    "letters": again(b"a"),
    "boundaries": again(b"\r\n--x"),
    "parts": again(FORM + b"a\r\n", b"", b"--x--"),
    "beginnings of boundaries": again(b"\r\n-", FORM, b"\r\n--x--"),
    "a head without an end": again(b"a: b\r\n", b"--x\r\n", b"--x--"),
    "parameters": again(b"; a=b", b"--x\r\ncontent-disposition: form-data", b"\r\n\r\na\r\n--x--"),
    "a value": again(b"a", FORM, b"\r\n--x--"),
    "blanks at the end": again(b" ", FORM + b"a\r\n--x--"),
}


@reader("gateway.console.site.multipart:read", "gateway.console.site.multipart:boundary_of")
def uploads() -> Iterable[Try]:
    for name, make in FORMS.items():
        yield Try(name, lambda raw: multipart.read(raw, b"x"), make)
    for name, text in {"semicolons": ";", "parameters": ";a=b", "quotes": '"', "boundaries": ";boundary=("}.items():
        yield Try(name, multipart.boundary_of, lambda n, text=text: "multipart/form-data" + text * n)  # type: ignore[misc]
