"""Makes a PNG of Chromium smaller: at most 256 colours, one byte a pixel."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from typing import Final

_SIGN: Final = b"\x89PNG\r\n\x1a\n"
_COLOURS: Final = 256


def reduced(png: bytes) -> bytes:
    """The same picture in the colours that are most frequent; every other one becomes the nearest of these."""
    width, height, pixels = _pixels(png)
    count = Counter(pixels)
    kept = [colour for colour, _ in count.most_common(_COLOURS)]
    place = {colour: index for index, colour in enumerate(kept)}
    for colour in count:
        if colour not in place:
            place[colour] = min(range(len(kept)), key=lambda each: _distance(kept[each], colour))
    rows = bytearray()
    for row in range(height):
        rows.append(0)
        rows += bytes(map(place.__getitem__, pixels[row * width : (row + 1) * width]))
    palette = b"".join(struct.pack(">I", colour)[1:] for colour in kept)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return _SIGN + b"".join(_chunk(name, body) for name, body in parts)


def _distance(one: int, other: int) -> int:
    return sum(((one >> shift & 255) - (other >> shift & 255)) ** 2 for shift in (0, 8, 16))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _pixels(png: bytes) -> tuple[int, int, list[int]]:
    """Width, height, and each pixel as 0xRRGGBB. It reads what Chromium writes: eight bits, RGB or RGBA, one pass."""
    at, body, header = len(_SIGN), b"", b""
    while at < len(png):
        size, name = struct.unpack_from(">I4s", png, at)
        part = png[at + 8 : at + 8 + size]
        header, body = (part, body) if name == b"IHDR" else (header, body + part if name == b"IDAT" else body)
        at += size + 12
    width, height, depth, kind, _, _, passes = struct.unpack(">IIBBBBB", header)
    if depth != 8 or kind not in (2, 6) or passes:
        raise ValueError("not a picture of Chromium")
    step, raw = 3 if kind == 2 else 4, zlib.decompress(body)
    before, pixels = bytearray(width * step), []
    for row in range(height):
        start = row * (width * step + 1)
        line = bytearray(raw[start + 1 : start + 1 + width * step])
        _unfilter(raw[start], line, before, step)
        pixels += [
            red << 16 | green << 8 | blue
            for red, green, blue in zip(line[::step], line[1::step], line[2::step], strict=True)
        ]
        before = line
    return width, height, pixels


def _unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    """The filters of PNG: none, sub, up, average, Paeth."""
    for place in range(len(line)) if kind else ():
        left = line[place - step] if place >= step else 0
        up = above[place]
        corner = above[place - step] if place >= step else 0
        if kind == 4:
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
        else:
            near = (0, left, up, (left + up) // 2)[kind]
        line[place] = line[place] + near & 255
