"""A company's own HTTP service, for a bot's tools: tells an order's status, in its own time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI, Request

from devstack.ports import free_port
from support.waiting import until


class OrderDesk:
    """`async with` runs it on a free port; `requests` are the paths asked for, `keys` the Authorization headers."""

    def __init__(self, *, status: str, takes_s: float) -> None:
        self.requests: list[str] = []
        self.keys: list[str] = []
        self._status, self._takes_s = status, takes_s
        app = FastAPI()
        app.add_api_route("/{path:path}", self._answer, methods=["GET"])
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._server.serve())
        await until(lambda: self._server.started)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task

    async def _answer(self, request: Request) -> dict[str, str]:
        self.requests.append(request.scope["raw_path"].decode())
        self.keys.append(request.headers.get("authorization", ""))
        await asyncio.sleep(self._takes_s)
        return {"status": self._status}
