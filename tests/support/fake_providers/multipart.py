"""The parts of a multipart/form-data body (RFC 7578)."""

from __future__ import annotations

from email.message import Message


def form_parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """Each part's bytes by its name; empty when the body is not multipart/form-data."""
    header = _header("content-type", content_type)
    boundary = header.get_param("boundary", header="content-type")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        return {}
    parts: dict[str, bytes] = {}
    for part in (b"\r\n" + body).split(f"\r\n--{boundary}".encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode().split("\r\n"))
        fields = {key.lower(): value.strip() for key, _, value in lines}
        disposition = _header("content-disposition", fields.get("content-disposition", ""))
        name = disposition.get_param("name", header="content-disposition")
        if isinstance(name, str):
            parts[name] = content
    return parts


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message
