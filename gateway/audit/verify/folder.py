"""Writes and reads an export: the log as plain files in the layout of C2SP tlog-tiles.

    checkpoint                 the signed note                 log.vkey          copy of the log's key: do not trust it
    tile/<L>/…                 hash tiles                      tile/entries/…    bundles of raw entries
    entries.ndjson             the same entries, one a line    proofs/…          entries of one transfer with proofs
    manifest.json              what the folder holds, written last

Invariant: a folder without a manifest is an incomplete export and is never accepted; a failed export is removed. Files
are readable by their owner alone (0600, folders 0700), as entries name agencies and systems.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from sqlalchemy import Connection, select

from gateway.audit.log.proofs import inclusions
from gateway.audit.log.tiles import read_path
from gateway.audit.verify.sources import NoSource, Opening, Proved, Record, Signed, paged
from gateway.durable import make_folder
from gateway.journal.schema import tables
from security.transparency import checkpoint as notes
from security.transparency.tiles import WIDTH, entries_path, entry_bundle, parse_bundle, tile_path, tiles_of

FORMAT: Final = "lgsp audit export 1"
_MANIFEST: Final = "manifest.json"
_BUNDLES: Final = 16  # bundles a query


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export: entries from `first` to before `stop` (both None: none), and proofs of these transfers.

    The range consists of whole bundles.
    """

    first: int | None
    stop: int | None
    transfers: tuple[str, ...] = ()

    @classmethod
    def rounded(cls, size: int, first: int | None, last: int | None, transfers: Sequence[str]) -> Wanted:
        """The request for entries `first` to `last` of a log of `size`; ValueError if it has no such entries.

        With transfers and no range, only their proofs.
        """
        if first is None and last is None and transfers:
            return cls(None, None, tuple(transfers))
        start, stop = first or 0, size if last is None else last + 1
        if not 0 <= start < stop <= size and (start, stop) != (0, size):
            raise ValueError(f"entries {start} to {stop - 1}: the signed log has {size}, from 0 to {size - 1}")
        return cls(start // WIDTH * WIDTH, min(size, -(-stop // WIDTH) * WIDTH), tuple(transfers))


def export(
    connection: Connection,
    folder: Path,
    top: tuple[int, str],
    vkey: str,
    wanted: Wanted,
    on_progress: Callable[[int], object],
) -> dict[str, Any]:
    """Writes the log under the checkpoint `top` (size, note) into an empty folder; returns the manifest.

    A failure leaves the folder empty.
    """
    try:
        return _write(connection, folder, top, vkey, wanted, on_progress)
    except BaseException:
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        raise


def _write(
    connection: Connection,
    folder: Path,
    top: tuple[int, str],
    vkey: str,
    wanted: Wanted,
    on_progress: Callable[[int], object],
) -> dict[str, Any]:
    size, note = top
    turn = paged(connection)
    first, stop = wanted.first or 0, wanted.stop or 0
    _put(folder / "checkpoint", note.encode())
    _put(folder / "log.vkey", vkey.strip().encode() + b"\n")
    if wanted.first is not None:
        for path in _tiles(size, first, stop):
            _put(folder / path, read_path(connection, path))
            turn()
        with _create(folder / "entries.ndjson") as lines:
            for done in _entries(connection, folder, lines, first, stop):
                on_progress(done)
    proved = 0
    for transfer in wanted.transfers:
        for each in inclusions(connection, transfer, top):
            name = quote(f"{transfer}-{each.phase}", safe="#")
            _put(folder / "proofs" / f"{name}.json", each.entry)
            _put(folder / "proofs" / f"{name}.tlog-proof", each.text().encode())
            _put(folder / "proofs" / f"{name}.json.spicy", each.text(header=False).encode())
            proved += 1
        turn()
    origin = notes.Checkpoint.from_text(note.partition("\n\n")[0] + "\n").origin
    manifest = {"format": FORMAT, "origin": origin, "size": size, "first": first, "stop": stop, "proofs": proved}
    draft = folder / f".{_MANIFEST}"
    with _create(draft) as file:
        file.write(json.dumps(manifest, indent=1).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _MANIFEST)
    return manifest


def _tiles(size: int, first: int, stop: int) -> Iterator[str]:
    """The tiles of the whole log, or those that lead from a range to the root."""
    for level, number, width in tiles_of(size):
        each = WIDTH ** (level + 1)
        if width < WIDTH or (number * each < stop and first < (number + 1) * each):
            yield tile_path(level, number, width)


def _entries(connection: Connection, folder: Path, lines: BinaryIO, first: int, stop: int) -> Iterator[int]:
    table, turn = tables.log_entry.c, paged(connection)
    for start in range(first, stop, WIDTH * _BUNDLES):
        end = min(stop, start + WIDTH * _BUNDLES)
        rows = (
            connection.execute(select(table.entry).where(table.idx >= start, table.idx < end).order_by(table.idx))
            .scalars()
            .all()
        )
        turn()
        for at in range(0, len(rows), WIDTH):
            bundle = [bytes(entry) for entry in rows[at : at + WIDTH]]
            _put(folder / entries_path((start + at) // WIDTH, len(bundle)), entry_bundle(bundle))
            lines.writelines(entry + b"\n" for entry in bundle)
        yield end - first


def _put(path: Path, data: bytes) -> None:
    make_folder(path.parent, 0o700)
    with _create(path) as file:
        file.write(data)


def _create(path: Path) -> BinaryIO:
    """A file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


class FolderSource:
    """An export as a source."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.what: Final = "the export"
        self._size = 0
        self._broken: list[str] = []

    def open(self) -> Opening:
        manifest, note = self._manifest(), self._text("checkpoint")
        try:
            self._size = notes.Checkpoint.from_text(note.partition("\n\n")[0] + "\n").size
        except notes.NoteError as error:
            raise NoSource(f"{self.folder / 'checkpoint'}: {error}") from None
        signed = (Signed("the checkpoint of the export", note),)
        wrong = (
            (f"the manifest is of {manifest['size']} entries, the checkpoint of {self._size}",)
            if manifest["size"] != self._size
            else ()
        )
        return Opening(
            size=self._size,
            signed=signed,
            claims=True,
            first=manifest["first"],
            stop=min(manifest["stop"], self._size),
            proofs=tuple(self._proofs()),
            wrong=wrong,
        )

    def records(self, start: int, stop: int) -> Iterator[Sequence[Record]]:
        lines = self._lines(start)
        for number in range(start // WIDTH, -(-stop // WIDTH)):
            path = self.folder / entries_path(number, self._width(0, number))
            try:
                entries = parse_bundle(path.read_bytes())
            except FileNotFoundError:
                return  # the verification reports the missing entry
            except ValueError as error:
                self._broken.append(f"{path}: {error}")
                return
            page = [Record(number * WIDTH + at, entry) for at, entry in enumerate(entries)]
            for each in page:
                if lines is not None and next(lines, b"") != each.entry + b"\n":
                    self._broken.append(f"entries.ndjson: what should be entry {each.idx} is not what its bundle holds")
                    lines = None
            yield [each for each in page if start <= each.idx < stop]

    def tile(self, level: int, number: int, width: int) -> bytes:
        for wide in dict.fromkeys((WIDTH, self._width(level, number), width)):
            try:
                return (self.folder / tile_path(level, number, wide)).read_bytes()[: width * 32]
            except FileNotFoundError:
                continue
        return b""

    def rest(self, size: int) -> Iterator[str]:
        yield from self._broken

    def key(self) -> str:
        """The copy of the key in the export."""
        return self._text("log.vkey")

    def _width(self, level: int, number: int) -> int:
        return max(1, min(WIDTH, (self._size >> 8 * level) - number * WIDTH))

    def _lines(self, start: int) -> Iterator[bytes] | None:
        """The lines of `entries.ndjson`; None if the range begins in their midst, or there is no such file."""
        path = self.folder / "entries.ndjson"
        return path.open("rb") if path.exists() and start == self._manifest()["first"] else None

    def _proofs(self) -> Iterator[Proved]:
        for path in sorted((self.folder / "proofs").glob("*.json")):
            texts = tuple(self._text(f"proofs/{name}") for name in (f"{path.stem}.tlog-proof", f"{path.name}.spicy"))
            yield Proved(f"proofs/{path.name}", path.read_bytes(), texts)

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads((self.folder / _MANIFEST).read_text("utf-8"))
            if manifest["format"] != FORMAT or not all(
                type(manifest[name]) is int for name in ("size", "first", "stop")
            ):
                raise ValueError(f"is not of the form {FORMAT}")
        except FileNotFoundError:
            raise NoSource(f"{self.folder} is no export, or only half of one: it has no {_MANIFEST}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise NoSource(f"{self.folder / _MANIFEST}: {error}") from None
        return dict(manifest)

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text("utf-8")
        except FileNotFoundError:
            raise NoSource(f"{self.folder} lacks {name}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise NoSource(f"{self.folder / name}: {error}") from None
