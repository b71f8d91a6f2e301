"""A whole call in which the language model looks something up over HTTP, and then puts the caller through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.stack import LocalStack
from ringover_sim.script import CallScript, Expect, Expectations, Say, WaitForBot, WaitForEnd
from ringover_sim.speech import Voice
from support.fake_providers import Answer, FakeOpenAI, ToolRequest
from support.order_desk import OrderDesk
from support.whole_calls import heard_text, place, record_of

pytestmark = [pytest.mark.speech, pytest.mark.timeout(150)]

AGENT = """\
name: shop
default: true
greeting: Hello, this is the order desk.
instructions: You help with orders.
transfer: {{human: "33187654321"}}
tools:
  - transfer
  - name: order_status
    description: The status of an order.
    method: GET
    url: "{url}/orders/{{order_id}}"
    parameters:
      type: object
      properties: {{order_id: {{type: string}}}}
      required: [order_id]
    secret_env: ORDER_DESK_KEY
    filler: Let me look that up for you.
"""


def model(messages: list[dict[str, Any]]) -> Answer:
    last = messages[-1]
    if last["role"] == "tool" and "was not called" in last["content"]:
        return ToolRequest("order_status", json.dumps({"order_id": "7"}))
    if last["role"] == "tool":
        return f"Your order is {json.loads(last['content'])['status']}."
    if "human" in last["content"].lower():
        return ToolRequest("transfer", json.dumps({"to": "human", "say": "I will put you through to a colleague."}))
    return ToolRequest("order_status", json.dumps({"order_id": "../../admin/7"}))


async def test_the_model_looks_up_an_order_and_transfers(tmp_path: Path, voice: Voice) -> None:
    script = CallScript(
        name="tools",
        steps=[
            WaitForBot(timeout=20),
            Say(text="Where is my order number seven?"),
            WaitForBot(timeout=30, silence=2.5),
            Say(text="Could I talk to a human please?"),
            Expect(command="transfer", data=33187654321, within=30),
            WaitForEnd(timeout=20),
        ],
        expect=Expectations(ended_by="transfer"),
    )
    agents = tmp_path / "agents"
    agents.mkdir()
    async with OrderDesk(status="on its way", takes_s=1.5) as desk, FakeOpenAI(answer=model) as server:
        (agents / "shop.yaml").write_text(AGENT.format(url=desk.url), encoding="utf-8")
        env = {
            "AGENTS_DIR": str(agents),
            "ORDER_DESK_KEY": "a-key-of-the-order-desk",
            "OPENAI_API_KEY": "sk-local-fake",
            "OPENAI_BASE_URL": server.base_url,
            "STT_PROVIDERS": "local",
            "LLM_PROVIDERS": "openai",
        }
        async with LocalStack(tmp_path / "stack", env=env) as stack:
            report = await place(stack, script, voice)
            record = await record_of(stack, report.call_id)
            logs = "".join(path.read_text() for path in (stack.directory / "logs").iterdir())

    tools = [tool for turn in record["turns"] for tool in turn["tools"]]
    # The first attempt would have led out of the file's path: it was refused, and the model told so. The next one was
    # sent, once (a caller who pauses may be answered twice: then there are two of each).
    refused = [tool for tool in tools if "was not called" in (tool["result"] or "")]
    sent = [tool for tool in tools if tool["name"] == "order_status" and tool not in refused]
    assert refused
    assert desk.requests == ["/orders/7"] * len(sent)
    assert set(desk.keys) == {"Bearer a-key-of-the-order-desk"}
    assert "a-key-of-the-order-desk" not in logs + json.dumps(record)
    # The caller was not left in silence meanwhile, and heard the result; then the transfer, announced.
    heard = heard_text(record)
    assert heard.index("let me look that up") < heard.index("your order is on its way")
    assert "i will put you through to a colleague" in heard
    assert "on its way" in sent[-1]["result"]
    assert [tool["name"] for tool in tools].count("transfer") == 1
    assert tools[-1]["name"] == "transfer"
