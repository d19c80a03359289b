"""The people's listener: documents for now."""

from __future__ import annotations

from typing import Any

from gateway.doors import documents
from gateway.doors.api_services import DeskServices
from gateway.doors.body import Receive, Scope, Send
from gateway.doors.reply import Reply


def build_desk(services: DeskServices) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reply = documents.document(services.registry.snapshot, scope, services.settings.base) if documents.is_document(scope["path"]) else Reply(404, {}, b"")
        headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    return app
