"""Finds where requests begin and end in a connection's bytes (RFC 9112), before they are parsed.

The parser gets complete heads within the limit, in the one strict form of the grammar. Ambiguous input is refused, even
where the RFC allows a repair: a proxy in front may read it the other way.
Invariant: after one refused input, nothing more of the connection is read.
"""

from __future__ import annotations

import re
from typing import Final

import httptools

from contracts.base.errors import Failure
from gateway.doors.http.errors import HTTP_HEAD_TOO_LARGE, HTTP_MALFORMED, HTTP_TRANSFER_CODING, REQUEST_HEADER_TWICE

HEAD_BYTES: Final = 65_536  # of a request line with all fields and the empty line; of all trailers of a body
_LINE: Final = 1_024  # bytes of one line with the size of a chunk
_SAMPLE: Final = 2_048
_EMPTY_LINES: Final = 8  # allowed before a request line
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD: Final = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n"
# The target excludes `#` (0x23), which begins a fragment.
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])\r\n")
_FIELDS: Final = re.compile(rb"(?:" + _FIELD + rb")*+\r\n")
_ONES: Final = re.compile(rb"\r\n(host|content-length|transfer-encoding):[ \t]*+([^\r]*+)")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-._~!$&'()*+;=%]*+)(?::[0-9]*+)?")
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,17}")
_CODINGS: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*,[ \t]*chunked")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*+)", re.IGNORECASE)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*+)?\r\n")

_AT_HEAD, _AT_BODY, _AT_SIZE, _AT_CHUNK, _AT_CHUNK_END, _AT_TRAILERS = range(6)


class Malformed(Exception):
    """Input that is refused. `inside`: in the body of a request. `head`: the received bytes of a head."""

    def __init__(self, failure: Failure, *, inside: bool = False, head: bytes = b"") -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.inside = inside
        self.head = head


class _NullListener:
    """The callbacks of a parser that only tests whether bytes can begin a request."""


class Framing:
    """The framing of one connection."""

    __slots__ = ("_data_bytes", "_buffer", "_left", "_searched", "_other_bytes", "_state")

    def __init__(self) -> None:
        self._state = _AT_HEAD
        self._buffer = bytearray()  # an incomplete head, line or trailers
        self._searched = 0  # bytes of these that were searched
        self._left = 0  # bytes of the body, or of the chunk
        self._data_bytes = self._other_bytes = 0  # of a chunked body: data and overhead

    @property
    def in_body(self) -> bool:
        """Whether a request is incomplete after its head."""
        return self._state != _AT_HEAD

    def take(self, data: bytes) -> tuple[bytes, Malformed | None]:
        """The bytes that may be parsed now, and the error after them."""
        if self._buffer:
            self._buffer += data
            if (
                self._state == _AT_HEAD
                and len(self._buffer) <= HEAD_BYTES
                and self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3)) < 0
            ):
                return self._still_no_head(data)
            data = bytes(self._buffer)
            self._buffer.clear()
        at = 0
        try:
            while at < len(data):
                end = self._step(data, at)
                if end is None:
                    self._buffer += data[at:]
                    break
                at = end
        except Malformed as trouble:
            return data[:at], trouble
        return data if at == len(data) else data[:at], None

    def _step(self, data: bytes, at: int) -> int | None:
        """The end of the element at `at`; None if it is not complete."""
        state = self._state
        if state == _AT_HEAD:
            return self._head(data, at)
        if state in (_AT_BODY, _AT_CHUNK):
            end = min(len(data), at + self._left)
            self._left -= end - at
            if not self._left:
                self._state = _AT_HEAD if state == _AT_BODY else _AT_CHUNK_END
            return end
        if state == _AT_SIZE:
            return self._size(data, at)
        if state == _AT_TRAILERS:
            return self._trailers(data, at)
        if len(data) - at < 2:
            return None
        if data[at : at + 2] != b"\r\n":
            raise _inside("a chunk that does not end where its size says")
        self._state = _AT_SIZE
        return at + 2

    def _head(self, data: bytes, at: int) -> int | None:
        begin = at
        while data.startswith(b"\r\n", begin):  # ignored before a request line (RFC 9112 §2.2)
            begin += 2
            if begin - at > _EMPTY_LINES * 2:
                raise Malformed(_refused("too many empty lines before a request"))
        end = data.find(b"\r\n\r\n", begin) + 4
        if (end if end > 3 else len(data)) - at > HEAD_BYTES:
            raise Malformed(HTTP_HEAD_TOO_LARGE(limit=HEAD_BYTES), head=data[begin : begin + _SAMPLE])
        if end > 3:
            self._searched = 0
            self._whole_head(data[begin:end])
            return end
        self._searched = len(data) - at
        if data.count(b"\n", begin) != data.count(b"\r\n", begin) or not _could_begin(data[begin : begin + _SAMPLE]):
            raise Malformed(
                _refused("the line ends, or the beginning, of no request"), head=data[begin : begin + _SAMPLE]
            )
        return None

    def _still_no_head(self, fresh: bytes) -> tuple[bytes, Malformed | None]:
        """Checks only the new bytes of an incomplete head."""
        before, self._searched = self._searched, len(self._buffer)
        after = before - 1 if self._buffer[before - 1 : before] == b"\r" else before
        bare = self._buffer.count(b"\n", after) != self._buffer.count(b"\r\n", after)
        if bare or before < _SAMPLE and not _could_begin(bytes(self._buffer[:_SAMPLE]).lstrip(b"\r\n")):
            return b"", Malformed(
                _refused("the line ends, or the beginning, of no request"), head=bytes(self._buffer[:_SAMPLE])
            )
        return b"", None

    def _whole_head(self, head: bytes) -> None:
        line = _REQUEST_LINE.match(head)
        if line is None:
            raise Malformed(_refused("a request line that is not `method address HTTP/1.1`"), head=head)
        if _FIELDS.fullmatch(head, line.end()) is None:
            raise Malformed(_refused("a field that is not `name: value` on one line"), head=head)
        hosts: list[bytes] = []
        lengths: list[bytes] = []
        codings: list[bytes] = []
        kinds = {b"host": hosts, b"content-length": lengths, b"transfer-encoding": codings}
        for name, value in _ONES.findall(head.lower(), line.end() - 2):
            kinds[name].append(value.rstrip(b" \t"))
        old = line[3] == b"0"
        failure = (
            _host_trouble(line[2].lower(), hosts, old)
            or (_refused("a body with both a length and chunks") if lengths and codings else None)
            or (_length_trouble(lengths) if lengths else None)
            or (_coding_trouble(codings, old) if codings else None)
        )
        if failure is not None:
            raise Malformed(failure, head=head)
        self._left = int(lengths[0]) if lengths else 0
        self._data_bytes = self._other_bytes = 0
        self._state = _AT_SIZE if codings else _AT_BODY if self._left else _AT_HEAD

    def _size(self, data: bytes, at: int) -> int | None:
        """Reads a chunk's size line. Refuses chunks that carry more overhead than data: each costs as much as a large
        one.
        """
        end = data.find(b"\n", at, at + _LINE) + 1
        if not end:
            if len(data) - at >= _LINE:
                raise _inside("the size of a chunk in a line without end")
            return None
        size_line = _CHUNK.fullmatch(data, at, end)
        if size_line is None:
            raise _inside("the size of a chunk that is no hexadecimal number")
        self._left = int(size_line[1], 16)
        self._data_bytes += self._left
        self._other_bytes += end - at + 2
        if self._other_bytes > HEAD_BYTES + self._data_bytes // 8:
            raise _inside("chunks that are mostly sizes and extensions")
        self._state = _AT_CHUNK if self._left else _AT_TRAILERS
        return end

    def _trailers(self, data: bytes, at: int) -> int | None:
        end = at + 2 if data.startswith(b"\r\n", at) else data.find(b"\r\n\r\n", max(at, at + self._searched - 3)) + 4
        if (end if end > 3 else len(data)) - at > HEAD_BYTES:
            raise _inside("trailers without end")
        if end <= 3:
            self._searched = len(data) - at
            return None
        self._searched = 0
        if _FIELDS.fullmatch(data, at, end) is None:
            raise _inside("a trailer that is not `name: value` on one line")
        self._state = _AT_HEAD
        return end


def _refused(why: str) -> Failure:
    return HTTP_MALFORMED(why=why)


def _inside(why: str) -> Malformed:
    return Malformed(_refused(why), inside=True)


def _could_begin(raw: bytes) -> bool:
    try:
        httptools.HttpRequestParser(_NullListener()).feed_data(raw)
    except httptools.HttpParserError:
        return False
    return True


def _host_trouble(address: bytes, hosts: list[bytes], old: bool) -> Failure | None:
    """RFC 9112 §3.2: exactly one Host; HTTP/1.0 had none."""
    if len(hosts) != 1 and not (old and not hosts):
        return _refused("not exactly one Host") if not hosts else REQUEST_HEADER_TWICE(header="host")
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        return _refused("a Host that is no host")
    if address.startswith(b"/"):
        return None
    absolute = _ABSOLUTE.match(address)
    if absolute is None:
        return _refused("an address that does not begin with `/`")
    return _refused("an address of another host than Host") if hosts and absolute[1] != hosts[0] else None


def _length_trouble(lengths: list[bytes]) -> Failure | None:
    if len(lengths) > 1:
        return REQUEST_HEADER_TWICE(header="content-length")
    return None if _LENGTH.fullmatch(lengths[0]) else _refused("a Content-Length that is no plain number")


def _coding_trouble(codings: list[bytes], old: bool) -> Failure | None:
    """RFC 9112 §6.1: chunked, last and once. An unknown coding before it is 501."""
    if old:
        return _refused("Transfer-Encoding in HTTP/1.0")
    if len(codings) == 1 and codings[0] == b"chunked":
        return None
    if len(codings) == 1 and _CODINGS.fullmatch(codings[0]) and codings[0].count(b"chunked") == 1:
        return HTTP_TRANSFER_CODING()
    return _refused("a Transfer-Encoding other than `chunked`")
