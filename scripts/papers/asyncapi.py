"""docs/asyncapi.yaml: the Redis streams and the media WebSocket as AsyncAPI 3.0, from the messages' own classes."""

from __future__ import annotations

import typing
from typing import Any

import yaml

from callbus import calls, commands, keys, media, transcript
from papers import entries, wire


def document() -> str:
    """The file's content."""
    head = "# Generated from the code by `make docs`.\n"
    return head + yaml.safe_dump(description(), sort_keys=False, allow_unicode=True, width=120)


def description() -> dict[str, Any]:
    """The AsyncAPI document."""
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}

    def channel(name: str, address: str, about: str, server: str, made: dict[str, Any]) -> None:
        messages.update({f"{name}.{key}": message for key, message in made.items()})
        described: dict[str, Any] = {
            "address": address,
            "description": about,
            "servers": [{"$ref": f"#/servers/{server}"}],
            "messages": {key: {"$ref": f"#/components/messages/{name}.{key}"} for key in made},
        }
        if "{" in address:
            names = [part.split("}")[0] for part in address.split("{")[1:]]
            described["parameters"] = {part: {"$ref": f"#/components/parameters/{part}"} for part in names}
        channels[name] = described

    def operation(name: str, action: str, on: str, about: str, only: list[str] | None = None) -> None:
        operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{on}"},
            "summary": about,
            "messages": [{"$ref": f"#/channels/{on}/messages/{key}"} for key in only or channels[on]["messages"]],
        }

    channel("lifecycle", keys.EVENTS, _about_events(), "redis", {"lifecycleEvent": _lifecycle()})
    operation("publishLifecycle", "send", "lifecycle", "gateway, streamer and workers tell a change in a call's life")
    operation("followLifecycle", "receive", "lifecycle", "ai-jobs, the console, or anyone follows the calls")

    channel("waiting", keys.WAITING, _about_waiting(), "redis", {"waitingCall": _waiting()})
    operation("handOut", "send", "waiting", "the streamer asks for a worker, once for each conversation")
    operation("claim", "receive", "waiting", "a worker with room takes the call")

    address = entries_address(keys.media_in)
    channel("mediaIn", address, _about_media(), "redis", _messages(media.MediaEvent, media.encode))
    operation("tellMedia", "send", "mediaIn", "the streamer tells the worker (an operator's wish: the gateway)")
    operation("hearMedia", "receive", "mediaIn", "the worker that holds the call reads them in this one order")

    address = keys.commands("STREAMER").replace("{STREAMER}", "{streamer_id}")
    channel("commands", address, _about_commands(), "redis", _messages(commands.Command, commands.encode))
    operation("command", "send", "commands", "a worker asks something of the streamer that holds its call's media")
    operation("obey", "receive", "commands", "the streamer carries it out, unless the epoch is an older one")

    address = entries_address(keys.transcript)
    channel("transcript", address, _about_transcript(), "redis", _messages(transcript.Entry, transcript.encode))
    operation("writeTranscript", "send", "transcript", "the worker writes down what happened")
    operation("readTranscript", "receive", "transcript", "the console, ai-jobs, and the next worker after a crash")

    incoming, outgoing = wire.incoming(), wire.outgoing()
    channel("media", "/ws/{call_id}", wire.ABOUT, "streamer", {**incoming, **outgoing})
    channels["media"]["bindings"] = {"ws": wire.BINDING}
    operation("receiveMedia", "receive", "media", "what the media server sends", list(incoming))
    operation("sendMedia", "send", "media", "what the streamer sends", list(outgoing))

    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ringover voicebot: streams and media WebSocket",
            "version": "0.1.0",
            "description": "Entries of Redis streams are flat fields: `k` is the kind, `j` the message as JSON text "
            "(its schema: `x-content-schema`). Audio has fields of its own, for it comes fifty times a second.",
        },
        "servers": {
            "redis": {"host": "localhost:6379", "protocol": "redis", "description": "REDIS_URL"},
            "streamer": {
                "host": "localhost:8765",
                "protocol": "ws",
                "description": "The streamer is the server; Ringover's media server connects, once for each call",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "parameters": {
                "call_id": {"description": "1 to 128 letters, digits or . _ : @ + = -, the first a letter or digit"},
                "streamer_id": {"description": "The streamer's id, as GET /api/v1/status shows it"},
            },
        },
    }


def entries_address(key: typing.Callable[[str], str]) -> str:
    """The key with the call's id as an AsyncAPI parameter; the braces of Redis' hash tag are the parameter's."""
    return key("CALL").replace("{CALL}", "{call_id}")


def _messages(union: Any, encode: entries.Encode) -> dict[str, Any]:
    return {entries.name_of(cls): entries.message(cls, encode) for cls in typing.get_args(union)}


def _lifecycle() -> dict[str, Any]:
    event = calls.LifecycleEvent("call", "ringing", "c", 1.5, data={"a": 1})
    properties = {name.decode(): {"type": "string"} for name in event.fields()}
    properties["data"]["contentMediaType"] = "application/json"
    properties["timestamp"]["description"] = "epoch seconds"
    payload = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "name": "LifecycleEvent",
        "summary": " ".join((calls.LifecycleEvent.__doc__ or "").split()),
        "payload": payload,
    }


def _waiting() -> dict[str, Any]:
    payload = {"type": "object", "required": ["call_id"], "properties": {"call_id": {"type": "string"}}}
    return {
        "name": "WaitingCall",
        "summary": "A call that wants a worker; the pending entry is its lease",
        "payload": payload,
    }


def _about_events() -> str:
    return (
        f"Call lifecycle, one entry a change; trimmed to about {keys.EVENTS_MAXLEN:,} entries, and to those of "
        f"the last {keys.EVENTS_KEPT_S // 86_400} days or fewer (`RETENTION_DAYS`), once ai-jobs has read them."
    )


def _about_waiting() -> str:
    return f"Calls that want a worker; consumer group `{keys.WORKERS_GROUP}`. An entry that is pending is a lease."


def _about_media() -> str:
    return (
        f"Audio and media events of one call, in one order. Braces are part of the key. At most "
        f"{keys.MEDIA_IN_MAXLEN:,} entries; gone {keys.MEDIA_TTL_S} s after the last one."
    )


def _about_commands() -> str:
    return (
        "What workers ask of one streamer, for all its calls. Braces are part of the key. A field `n` numbers a "
        "worker's commands within an epoch; what comes twice is dropped. Where calls are traced, `tp` is the sender's "
        "span (W3C traceparent) and `ts` when it was sent (epoch s by Redis' clock)."
    )


def _about_transcript() -> str:
    return (
        "Turns as they happened: what was said, what was heard, what was done. Braces are part of the key. Gone "
        f"{keys.CALL_TTL_S // 3600} h after the last entry."
    )
