"""The time by which a vendor of a sandbox signs. Answers name it in `Lgsp-Time` if she moved her clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from contracts.base.times import moment
from contracts.wire.headers import TENANT_TIME

_SAME: Final = 2.0  # seconds by which two answers may differ


class TenantTime:
    """A clock that follows the answers. `real` stays the time of this host: checkpoints are on real time."""

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self.real: Final = real
        self.known = False
        self._ahead = 0.0

    def __call__(self) -> float:
        return self.real() + self._ahead

    def heard(self, headers: Mapping[str, str]) -> bool:
        """Takes the time of an answer to a known caller, and says whether it differs from ours. Never behind."""
        named = moment(headers.get(TENANT_TIME))
        ahead = 0.0 if named is None else max(0.0, named - self.real())
        self.known, differs = True, abs(ahead - self._ahead) > _SAME
        if differs:
            self._ahead = ahead
        return differs
