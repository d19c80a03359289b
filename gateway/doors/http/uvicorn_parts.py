"""Imports the parts of uvicorn that serve HTTP, without its command line, and the processes that this would start.

They take 1.5 MiB in each door. Invariant: `uvicorn.run` is not there afterwards.
"""

from __future__ import annotations

from gateway.doors.http.placeholders import unloaded

with unloaded({"uvicorn.main": "Server main run"}):
    import uvicorn
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import Server

if uvicorn.Server is not Server:
    vars(uvicorn)["Server"] = Server
    del uvicorn.main, uvicorn.run

__all__ = ["Config", "HttpToolsProtocol", "Server"]
