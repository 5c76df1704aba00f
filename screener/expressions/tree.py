"""The tree of an expression: values that say what was written. Evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`start` and `end`: its characters in the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix(Node):
    """`sign`: "-" or "not"."""

    sign: str
    of: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Infix(Node):
    """`sign`: + - * / < <= > >= == != and or"""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    name: str
    given: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Node):
    """Whether `of` is one of `choices`."""

    of: Node
    choices: tuple[Node, ...]


def parts(node: Node) -> tuple[Node, ...]:
    """Return what stands directly in `node`."""
    if isinstance(node, Prefix):
        return (node.of,)
    if isinstance(node, Infix):
        return node.left, node.right
    if isinstance(node, Call):
        return node.given
    if isinstance(node, OneOf):
        return node.of, *node.choices
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Give the node and all in it."""
    yield node
    for part in parts(node):
        yield from walk(part)


def names(node: Node) -> tuple[str, ...]:
    """Return the fields that `node` reads, each once, in the order written."""
    return tuple(dict.fromkeys(part.name for part in walk(node) if isinstance(part, Name)))
