"""The provider's side of a contract whose bodies are encrypted: which keys it publishes, and how it is called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import aiohttp
import pytest

from adapters.errors import ProviderFailure
from adapters.model import Endpoint, Incoming
from security.encryption_keys import DecryptKey
from tests.adapters.providers import Provider, Script


class EncryptedSide(ABC):
    kind: ClassVar[Literal["rest", "soap"]]

    def __init__(
        self, provider: Provider, session: aiohttp.ClientSession, ours: DecryptKey, theirs: DecryptKey
    ) -> None:
        self.provider, self.session, self.ours, self.theirs = provider, session, ours, theirs

    @abstractmethod
    async def ask(self, endpoint: Endpoint) -> Incoming: ...

    async def call(self, script: Script, encrypt_keys: tuple[DecryptKey, ...] | None = None) -> Incoming:
        self.provider.script = script
        key = self.provider.identity.sign.verify_key()
        keys = tuple(each.encrypt_key("do-thi") for each in ((self.theirs,) if encrypt_keys is None else encrypt_keys))
        address, by_id, by_thumbprint = self.provider.url, {key.key_id: key}, {key.thumbprint: key}
        return await self.ask(Endpoint("do-thi", self.kind, address, by_id, by_thumbprint, keys))

    async def failing(self, script: Script, encrypt_keys: tuple[DecryptKey, ...] | None = None) -> ProviderFailure:
        with pytest.raises(ProviderFailure) as caught:
            await self.call(script, encrypt_keys)
        return caught.value
