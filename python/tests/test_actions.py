from __future__ import annotations

import copy
import json
import pickle

import pytest

from everstream import Headers, SSEClient
from everstream.actions import Action, Comment, Event, Fault, Start
from everstream.errors import HTTPStatusError
from everstream.testing import Reply, SSEServer


def received(server: SSEServer, reply: Reply) -> list[Action]:
    server.enqueue(reply)
    with SSEClient(server.url()) as client:
        return list(client.all)


def test_an_event_has_the_defaults_of_launchdarkly_eventsource() -> None:
    event = Event()
    assert (event.event, event.data, event.id, event.last_event_id) == ("message", "", None, None)


def test_an_event_has_the_values_of_its_constructor() -> None:
    event = Event("put", "x", "7", "8")
    assert (event.event, event.data, event.id, event.last_event_id) == ("put", "x", "7", "8")
    assert Event(id="7").last_event_id is None
    assert Event(event="").event == ""


def test_events_are_equal_if_all_their_fields_are() -> None:
    event = Event("put", "x", "7", "8")
    assert event == Event("put", "x", "7", "8")
    assert hash(event) == hash(Event("put", "x", "7", "8"))
    for other in (
        Event("get", "x", "7", "8"),
        Event("put", "y", "7", "8"),
        Event("put", "x", "9", "8"),
        Event("put", "x", None, "8"),
        Event("put", "x", "7", None),
        "put",
    ):
        assert event != other


def test_a_received_event_equals_a_constructed_one(server: SSEServer) -> None:
    _, first, second, _ = received(
        server, Reply.stream().event("a\nb", event="put", id="7").event("ü")
    )
    assert first == Event("put", "a\nb", "7", "7")
    assert hash(first) == hash(Event("put", "a\nb", "7", "7"))
    assert second == Event("message", "ü", None, "7")


def test_events_and_comments_have_a_repr_like_their_constructor() -> None:
    event = Event("put", 'say "x"', "7", None)
    assert repr(event) == "Event(event='put', data='say \"x\"', id='7', last_event_id=None)"
    assert eval(repr(event)) == event
    assert repr(Comment(" it's")) == 'Comment(" it\'s")'


@pytest.mark.parametrize("name", ["event", "data", "id", "last_event_id", "new"])
def test_events_are_immutable(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Event(), name, "x")


@pytest.mark.parametrize("name", ["comment", "new"])
def test_comments_are_immutable(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Comment("x"), name, "x")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "action", [Event(), Event("put", "x\ny", "7", "8"), Comment("x"), Comment("")]
)
def test_events_and_comments_can_be_pickled(action: Action, protocol: int) -> None:
    assert pickle.loads(pickle.dumps(action, protocol)) == action
    assert copy.deepcopy(action) == action


def test_comments_are_equal_if_their_texts_are() -> None:
    assert Comment("x") == Comment("x")
    assert hash(Comment("x")) == hash(Comment("x"))
    assert Comment("x") != Comment("y")
    assert Comment("x") != "x"


def test_a_comment_is_the_text_after_the_colon(server: SSEServer) -> None:
    _, comment, _ = received(server, Reply.stream().send(": hi\n"))
    assert comment == Comment(" hi")
    assert isinstance(comment, Comment)
    assert comment.comment == " hi"


def test_everything_that_is_received_is_an_action(server: SSEServer) -> None:
    actions = received(server, Reply.stream().comment("c").event("e"))
    assert [type(action) for action in actions] == [Start, Comment, Event, Fault]
    assert all(isinstance(action, Action) for action in actions)


def test_an_event_reads_its_data_as_json() -> None:
    event = Event(data='{"eur": 7.5}')
    assert event.json() == {"eur": 7.5}
    assert event.json(parse_float=str) == {"eur": "7.5"}


def test_data_that_is_not_json_is_a_value_error() -> None:
    with pytest.raises(json.JSONDecodeError):
        Event(data="[DONE]").json()


def test_a_start_has_the_head_of_the_response(server: SSEServer) -> None:
    server.enqueue(
        Reply.redirect(307, server.url("/moved")), Reply.stream().header("X-Server", "mine")
    )
    with SSEClient(server.url("/feed")) as client:
        start = next(client.all)
    assert isinstance(start, Start)
    assert (start.status, start.url) == (200, server.url("/moved"))
    assert start.headers is not None
    assert start.headers["x-server"] == start.headers["X-SERVER"] == "mine"


def test_a_start_and_a_fault_have_the_constructors_of_launchdarkly_eventsource() -> None:
    assert Start().headers is None
    assert Start(headers={"a": "b"}).headers == {"a": "b"}
    assert Fault(None).error is None
    assert Fault(None).headers is None
    error = HTTPStatusError(503, {"a": "b"})
    assert Fault(error).error is error
    assert Fault(error).headers == {"a": "b"}
    assert Fault(ValueError()).headers is None


def test_headers_ignore_case_and_join_repeated_names() -> None:
    headers = Headers([("Via", "a"), ("X", "1"), ("via", "b")])
    assert headers["VIA"] == "a, b"
    assert headers.get_all("via") == ["a", "b"]
    assert list(headers) == ["Via", "X"]
    assert len(headers) == 2
    assert "x" in headers
    assert headers.get("y") is None
    assert headers == {"VIA": "a, b", "x": "1"}
    assert headers != {"x": "1"}
    assert pickle.loads(pickle.dumps(headers)) == headers
    with pytest.raises(KeyError):
        headers["y"]


class Price(Event):
    @property
    def euros(self) -> float:
        return float(self.data)


class Note(Comment):
    pass


def test_events_and_comments_can_be_subclassed() -> None:
    price = Price("price", "7.5", id="1")
    assert price.euros == 7.5
    assert isinstance(price, Event)
    assert price == Event("price", "7.5", id="1")
    assert type(pickle.loads(pickle.dumps(price))) is Price
    assert type(copy.copy(Note("hi"))) is Note
