"""`python scripts/docs.py`: write what is generated in docs/; with `--check`, only tell what is stale (exit code 1)."""

from __future__ import annotations

import sys
from pathlib import Path

from papers import asyncapi, configuration, openapi

DOCS = Path(__file__).resolve().parents[1] / "docs"


def pages() -> dict[str, str]:
    """The generated files: name in docs/ and content."""
    return {
        "configuration.md": configuration.page(),
        "openapi.json": openapi.document(),
        "asyncapi.yaml": asyncapi.document(),
    }


def main() -> int:
    """The exit code."""
    stale = []
    for name, content in pages().items():
        file = DOCS / name
        if file.exists() and file.read_text(encoding="utf-8") == content:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            file.write_text(content, encoding="utf-8")
            sys.stdout.write(f"docs/{name} written\n")
    if stale and "--check" in sys.argv[1:]:
        sys.stderr.write(f"not what the code generates: {', '.join(stale)}; run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
