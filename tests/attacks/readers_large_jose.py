"""Readers of encrypted bodies that are too large to be held."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

from security import jose, large_jose
from tests.attacks.readers_security import NOW, known
from tests.attacks.readers_wire import again
from tests.attacks.reading import Try, reader


@reader("security.large_jose:open_large")
def encrypted_in_pieces() -> Iterable[Try]:
    opener, to, sign = jose.Opener([known().encrypt]), known().encrypt.encrypt_key(), known().sign

    def opened(raw: bytes) -> object:
        return large_jose.open_large(io.BytesIO(raw), opener, len, known().find, NOW, limit=1)

    def around(inside: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """Rightly encrypted, whatever is inside."""
        return lambda n: jose._encrypted(inside(n), to, jose._REGISTRY)

    yield Try("a body", opened, lambda n: jose.seal(b"a" * n, "a/b", sign, to)[0])
    yield Try("points", opened, again(b"."))
    yield Try("letters", opened, again(b"a"))
    yield Try("a long encrypted key", opened, again(b"YWFh", b"YWFh.", b".YWFh.YWFh.YWFh"))
    yield Try("points inside", opened, around(again(b".")))
    yield Try("a long header inside", opened, around(again(b"YWFh", b"", b".YWFh.YWFh")))
    yield Try("a long signature inside", opened, around(again(b"YWFh", b"YWFh.YWFh.")))
