"""What the bot's language model may do: its tools, and how a call of one becomes an action or a request."""

from ai_worker.tools.line import LINE_TOOLS, LineRequest, MessageTaken
from ai_worker.tools.results import ToolResult
from ai_worker.tools.toolbox import ToolBox, missing_secrets

__all__ = ["LINE_TOOLS", "LineRequest", "MessageTaken", "ToolBox", "ToolResult", "missing_secrets"]
