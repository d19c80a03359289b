"""A process that learns late of a checkpoint is asked again, before a kept one is held against it."""

from __future__ import annotations

from gateway.audit.verify.remote import RemoteSource

ROOT = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="


class Late:
    """Shows an older checkpoint once."""

    base, proven = "https://gateway.example", False

    def __init__(self) -> None:
        self.sizes = [7, 9]

    def checkpoint(self) -> str:
        size = self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]
        return f"log.example\n{size}\n{ROOT}\n\n"


def test_a_smaller_checkpoint_is_asked_for_again() -> None:
    assert RemoteSource(Late()).open().size == 7  # type: ignore[arg-type]
    assert RemoteSource(Late(), 9).open().size == 9  # type: ignore[arg-type]
