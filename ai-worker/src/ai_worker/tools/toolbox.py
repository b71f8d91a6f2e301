"""The tools of one call: what the language model is told of them, and what becomes of each call of one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping

import httpx
import structlog

from ai_worker.agent_tools import HttpTool
from ai_worker.agents import Agent
from ai_worker.providers.base import ToolSpec
from ai_worker.tools import http_request, http_send, line
from ai_worker.tools.results import ToolResult, Unfit, parse_arguments

log = structlog.get_logger()


def missing_secrets(agents: Iterable[Agent], env: Mapping[str, str]) -> Iterator[str]:
    """One line for each secret that a tool needs and the environment doesn't have."""
    for agent in agents:
        for tool in agent.http_tools:
            if tool.secret_env and not http_request.is_sendable(env.get(tool.secret_env, "")):
                yield f"agent {agent.name}: the tool {tool.name} needs {tool.secret_env} in the environment"


class ToolBox:
    """`agent` is the one of the call (see `Agent.for_call`), `session` the call's id, `env` has the tools' secrets."""

    def __init__(self, agent: Agent, http: httpx.AsyncClient, env: Mapping[str, str], *, session: str) -> None:
        self._agent = agent
        self._http = http
        self._session = session
        self._tools = {tool.name: tool for tool in agent.http_tools}
        self._secrets = {
            tool.name: env.get(tool.secret_env, "") if tool.secret_env else "" for tool in agent.http_tools
        }
        self._results: dict[str, ToolResult | None] = {}

    def specs(self) -> tuple[ToolSpec, ...]:
        """What the language model is told."""
        return (
            *(line.spec(self._agent, name) for name in self._agent.built_ins),
            *(ToolSpec(tool.name, tool.description, tool.parameters) for tool in self._tools.values()),
        )

    def is_http(self, name: str) -> bool:
        """Whether a tool is for `run`, and takes time; any other name is for `request`."""
        return name in self._tools

    def filler(self, name: str) -> str:
        """What to say while the tool runs; "" for nothing."""
        tool = self._tools.get(name)
        return tool.filler or "" if tool else ""

    def request(self, name: str, arguments: str) -> line.BuiltInRequest | ToolResult:
        """What a call of a built-in tool asks for, or why it can't be: told to the model, nothing is done."""
        if name not in self._agent.built_ins:
            return self._unknown(name)
        try:
            return line.request(self._agent, name, arguments)
        except Unfit as error:
            return ToolResult(name, "bad_arguments", f"{name} was not called: {error}")

    async def run(self, name: str, arguments: str, *, tool_call_id: str) -> ToolResult:
        """Send an HTTP tool's request and tell its answer. Never raises, but for being cancelled.

        A tool call is sent once: asked for again, its result is told again, or that it is not known.
        """
        tool = self._tools.get(name)
        if tool is None:
            return self._unknown(name)
        if tool_call_id in self._results:
            again = "was asked for already, and whether it was done is not known"
            return self._results[tool_call_id] or ToolResult(name, "repeated", f"{name} {again}.")
        begun = time.monotonic()
        self._results[tool_call_id] = None
        result = await self._sent(tool, arguments, tool_call_id)
        self._results[tool_call_id] = result
        took_ms = round((time.monotonic() - begun) * 1000)
        log.info("tool", tool=name, kind=result.kind, status=result.status, took_ms=took_ms)
        return result

    async def _sent(self, tool: HttpTool, arguments: str, tool_call_id: str) -> ToolResult:
        secret = self._secrets[tool.name]
        if tool.secret_env and not http_request.is_sendable(secret):
            log.error("a tool's secret is missing", tool=tool.name, variable=tool.secret_env)
            return ToolResult(tool.name, "not_configured", f"{tool.name} is not set up, so it can't be used.")
        key = hashlib.sha256(f"{self._session}\0{tool_call_id}".encode()).hexdigest()[:32]
        try:
            given = parse_arguments(tool.parameters, arguments)
            request = http_request.build(tool, given, self._agent.call_values, secret=secret, key=key)
        except Unfit as error:
            return ToolResult(tool.name, "bad_arguments", f"{tool.name} was not called: {error}")
        return await http_send.send(self._http, tool, request, secret=secret)

    def _unknown(self, name: str) -> ToolResult:
        known = ", ".join(self._agent.tool_names) or "none"
        return ToolResult(name[:64], "unknown_tool", f"There is no such tool. The tools are: {known}.")
