"""Reads the conformance cases. The top of their file explains the notation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from everstream.actions import Action, Comment, Event

FILE = Path(__file__).parents[2] / "crates/everstream-core/tests/spec/cases.txt"

_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[nrt0\\\"])|x(?P<byte>[0-9A-Fa-f]{2})|u\{(?P<char>[0-9A-Fa-f]+)\}"
    r"|\((?P<count>\d+)\*)|(?P<close>\))|(?P<other>.)",
    re.DOTALL,
)
_STRING = r'"((?:[^"\\]|\\.)*)"'


@dataclass
class Case:
    name: str
    resume: str | None = None
    streams: list[bytes] = field(default_factory=lambda: [b""])
    #: Events and comments. Other effects change the client without yielding an action.
    actions: list[Action] = field(default_factory=list)
    last_event_id: str | None = None


def read(text: str | None = None) -> list[Case]:
    """All cases. Fails if one can't be parsed."""
    cases: list[Case] = []
    lines = (FILE.read_text("utf-8") if text is None else text).split("\n")
    for line in lines:
        keyword, _, rest = line.partition(" ")
        if not line or line.startswith("#") or keyword == "clause":
            continue
        if keyword == "case":
            cases.append(Case(rest))
        elif keyword == "resume":
            cases[-1].resume = _id(rest)
        elif keyword == "end":
            cases[-1].streams.append(b"")
        elif keyword == "<":
            cases[-1].streams[-1] += unescape(rest)
        elif keyword == ">":
            cases[-1].actions.extend(_action(rest))
        elif keyword == "=":
            cases[-1].last_event_id = _id(rest)
        else:
            raise ValueError(f"not understood: {line}")
    return cases


def _action(text: str) -> Iterator[Action]:
    kind, _, rest = text.partition(" ")
    if kind == "comment":
        yield Comment(_string(rest))
    elif kind == "event":
        if not re.fullmatch(rf"(?:\w+={_STRING}(?: |$))+", rest):
            raise ValueError(f"not understood: {text}")
        pairs = re.findall(rf"(\w+)={_STRING}", rest)
        given = {name: unescape(value).decode() for name, value in pairs}
        kind_, data = given.pop("type", "message"), given.pop("data")
        yield Event(kind_, data, given.pop("id", None), given.pop("last", None))
        if given:
            raise ValueError(f"not understood: {text}")
    elif kind not in ("retry", "id"):
        raise ValueError(f"not understood: {text}")


def _id(text: str) -> str | None:
    return None if text == "none" else _string(text)


def _string(text: str) -> str:
    match = re.fullmatch(_STRING, text)
    if match is None:
        raise ValueError(f"no string: {text}")
    return unescape(match[1]).decode()


def unescape(text: str) -> bytes:
    """The bytes that a notation describes."""
    #: The open repetitions, outermost first: the bytes and the count.
    open_: list[tuple[int, bytearray]] = [(1, bytearray())]
    for token in _ESCAPE.finditer(text):
        out = open_[-1][1]
        if simple := token["simple"]:
            out += _SIMPLE[simple].encode()
        elif byte := token["byte"]:
            out.append(int(byte, 16))
        elif char := token["char"]:
            out += chr(int(char, 16)).encode()
        elif count := token["count"]:
            open_.append((int(count), bytearray()))
        elif token["close"] and len(open_) > 1:
            times, repeated = open_.pop()
            open_[-1][1].extend(repeated * times)
        elif token[0] == "\\":
            raise ValueError(f"unknown escape: {text}")
        else:
            out += token[0].encode()
    if len(open_) > 1:
        raise ValueError(f"not closed: {text}")
    return bytes(open_[0][1])
