"""An ONNX model small enough to be written by hand: the loudest band's mean, squashed into 0..1.

Wire format: onnx.proto (github.com/onnx/onnx), field by field.
"""

from __future__ import annotations

from collections.abc import Sequence


def tiny_model(shape: Sequence[int | str], *, name: str = "input_features") -> bytes:
    """A model that takes `name` (float32, `shape`: n, bands, frames) and gives `logits` (n, 1)."""
    nodes = [
        _node("ReduceMean", name, "means", _ints("axes", [2]), _int("keepdims", 0)),
        _node("ReduceMax", "means", "loudest", _ints("axes", [1]), _int("keepdims", 1)),
        _node("Sigmoid", "loudest", "logits"),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"tiny")
    graph += _bytes(11, _value(name, shape)) + _bytes(12, _value("logits", [shape[0], 1]))
    opset = _bytes(1, b"") + _varint(2, 13)
    return _varint(1, 8) + _bytes(7, graph) + _bytes(8, opset)


def _node(kind: str, source: str, target: str, *attributes: bytes) -> bytes:
    head = _bytes(1, source.encode()) + _bytes(2, target.encode()) + _bytes(4, kind.encode())
    return head + b"".join(_bytes(5, attribute) for attribute in attributes)


def _int(name: str, value: int) -> bytes:
    return _bytes(1, name.encode()) + _varint(3, value) + _varint(20, 2)


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _bytes(1, name.encode()) + b"".join(_varint(8, value) for value in values) + _varint(20, 7)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = [_varint(1, size) if isinstance(size, int) else _bytes(2, size.encode()) for size in shape]
    tensor = _varint(1, 1) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(value)) + value


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
