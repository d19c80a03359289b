"""What codecs read and write XML with, for tests that compare its two readers."""

from __future__ import annotations

from contracts.codecs.codec import Codec
from contracts.codecs.messages import XmlMessage


def xml_of(codec: Codec, message: str) -> XmlMessage:
    found = codec._xml[message]
    assert found is not None, f"{codec.name} has no XML for {message}"
    return found


def xml_messages(codec: Codec) -> list[tuple[str, XmlMessage]]:
    """Every message that the format has in XML."""
    codec.compile_messages()
    return [(message, found) for message, found in codec._xml.items() if found is not None]
