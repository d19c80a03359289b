"""Decrypts envelopes that are too large to be held, in the profile of `security.wssec.decrypt`.

    envelope with a stand-in for its CipherValue -> the envelope as it was signed, in pieces

The octets of the CipherValue may have come beside the envelope too, as the part of a package (MTOM, XOP).
Invariant: the pieces are void until `decrypt_large` has returned: the tag was checked over the whole then. The caller
then parses the envelope and verifies its signature, as that of any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from contracts.wire.attachments import Spool
from contracts.wire.base64_lines import Lines
from security.errors import BODY_DECRYPTION
from security.wssec.decrypt import CIPHER_VALUE, TAG_BYTES, BodyKeys, malformed, take_apart
from security.wssec.encrypt import IV_BYTES
from security.wssec.signed_info import Element, text_of


class LargeHidden(NamedTuple):
    """An envelope, or a package, that was decrypted: as it came, with `stand_in` for its CipherValue, and what is
    around its content in the signed one. `lines`: the white space of the CipherValue; None if its octets are a part.
    """

    outer: bytes
    stand_in: bytes
    lines: Lines | None
    key: bytes
    iv: bytes
    before: bytes
    after: bytes

    def around(self, signed: bytes, spool: Spool) -> bytes | None:
        """The envelope as it came, for the signed one with stand-ins of `spool`. None: they are not in the content."""
        if not signed.startswith(self.before) or not signed.endswith(self.after):
            return None
        content = signed[len(self.before) : len(signed) - len(self.after)]
        if self.lines is None:
            return self.outer.replace(self.stand_in, spool.marks.in_package(content, self.key, self.iv), 1)
        return self.outer.replace(self.stand_in, spool.marks.for_xml(content, self.key, self.iv, self.lines), 1)


def decrypt_large(
    outer: bytes, root: Element, spool: Spool, keys: BodyKeys, write: Callable[[bytes], object]
) -> LargeHidden | None:
    """Gives the signed envelope to `write`. None if its CipherValue is not the one large content of `spool`.

    `outer` was parsed to `root`, which is consumed. It may be a package that has a raw stand-in for its one part.
    """
    hidden = take_apart(root, keys)
    text = text_of(hidden.value, CIPHER_VALUE, malformed)
    attachment = spool.attachment_of(spool.unlined(text))
    if attachment is None or len(spool.attachments) != 1:
        return None
    key = hidden.content_key(attachment.size)
    before, after = hidden.around()
    write(before)
    pieces = spool.contents(attachment)
    first = next(pieces)  # all of the contents, or CHUNK of them: longer than nonce and tag
    iv, kept = first[:IV_BYTES], first[IV_BYTES:]
    cipher = Cipher(AES(key), GCM(iv)).decryptor()
    for piece in pieces:
        kept += piece
        write(cipher.update(kept[:-TAG_BYTES]))
        kept = kept[-TAG_BYTES:]
    write(cipher.update(kept[:-TAG_BYTES]))
    tag = kept[-TAG_BYTES:]
    try:
        cipher.finalize_with_tag(tag)
    except InvalidTag:
        raise BODY_DECRYPTION() from None
    write(after)
    if (raw := spool.raw_stand_in(0)) in outer:
        return LargeHidden(outer, raw, None, key, iv, before, after)
    return LargeHidden(outer, text.encode("ascii"), attachment.lines, key, iv, before, after)
