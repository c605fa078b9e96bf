"""What the host's end of the wire promises: events in order, then exactly one end, whatever the worker does."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_protocol.client import EngineClient
from medsam2_protocol.masks import EMPTY_REGION
from medsam2_protocol.messages import (
    PROTOCOL,
    Cancelled,
    CloseVolume,
    Done,
    End,
    Event,
    Failed,
    Hello,
    MaskChanged,
    Message,
    Ping,
    Pong,
    Progress,
)
from medsam2_protocol.tagged import from_json, to_json

HELLO = Hello(PROTOCOL, "0.1.0", (), ("box", "point", "mask"), (), 4711)
REQUEST = CloseVolume("", "v1")
MASK = MaskChanged("r1", "v1", "s1", "K", 3, EMPTY_REGION, 1.5, 0.9)


@dataclass
class Wire:
    """A way out that keeps what was sent."""

    lines: list[bytes] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        self.lines.append(data)

    @property
    def messages(self) -> list[Message]:
        return [from_json(line, Message) for line in self.lines]


@dataclass
class Listener:
    """Somebody who makes a request and notes what comes of it."""

    events: list[Event] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    def ask(self, client: EngineClient, request: Any = REQUEST) -> str:
        return client.request(request, self.events.append, self.ends.append)


def line(message: Message) -> bytes:
    return to_json(message).encode() + b"\n"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def a_waiting_client(wire: Wire) -> EngineClient:
    """Its worker has not said hello yet."""
    return EngineClient(wire)


@pytest.fixture
def client(a_waiting_client: EngineClient) -> EngineClient:
    a_waiting_client.receive(line(HELLO))
    return a_waiting_client


@pytest.fixture
def listener() -> Listener:
    return Listener()


# ---- hello


def test_a_request_before_hello_waits(a_waiting_client: EngineClient, wire: Wire, listener: Listener) -> None:
    listener.ask(a_waiting_client)
    assert wire.lines == []


def test_requests_before_hello_are_sent_in_order_after_it(a_waiting_client: EngineClient, wire: Wire) -> None:
    asked = [Listener().ask(a_waiting_client) for _ in range(3)]
    a_waiting_client.receive(line(HELLO))
    assert [message.id for message in wire.messages] == asked


def test_a_cancel_before_hello_follows_its_request(a_waiting_client: EngineClient, wire: Wire) -> None:
    request_id = Listener().ask(a_waiting_client)
    a_waiting_client.cancel(request_id)
    a_waiting_client.receive(line(HELLO))
    assert [type(message).__name__ for message in wire.messages] == ["CloseVolume", "Cancel"]


def test_hello_is_announced(a_waiting_client: EngineClient) -> None:
    heard: list[Hello] = []
    a_waiting_client.on_hello = heard.append
    a_waiting_client.receive(line(HELLO))
    assert heard == [HELLO]


def test_hello_is_kept(client: EngineClient) -> None:
    assert client.hello == HELLO


def test_another_protocol_fails_what_waits(a_waiting_client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(a_waiting_client)
    a_waiting_client.receive(line(replace(HELLO, protocol=PROTOCOL + 1)))
    (end,) = listener.ends
    assert (end.id, end.code) == (request_id, "protocol_mismatch")


def test_another_protocol_is_named_beside_ours(a_waiting_client: EngineClient, listener: Listener) -> None:
    listener.ask(a_waiting_client)
    a_waiting_client.receive(line(replace(HELLO, protocol=7)))
    assert f"speaks protocol 7, this program speaks protocol {PROTOCOL}" in listener.ends[0].message


def test_nothing_is_sent_to_a_worker_of_another_protocol(
    a_waiting_client: EngineClient, wire: Wire, listener: Listener
) -> None:
    listener.ask(a_waiting_client)
    a_waiting_client.receive(line(replace(HELLO, protocol=PROTOCOL + 1)))
    listener.ask(a_waiting_client)
    assert wire.lines == []


def test_a_newer_hello_with_unknown_fields_is_a_mismatch(a_waiting_client: EngineClient, listener: Listener) -> None:
    newer = {**json.loads(to_json(HELLO)), "protocol": PROTOCOL + 1, "gpu_memory": [1, 2]}
    listener.ask(a_waiting_client)
    a_waiting_client.receive(json.dumps(newer).encode() + b"\n")
    assert listener.ends[0].code == "protocol_mismatch"


@pytest.mark.parametrize("first_line", [b"Traceback (most recent call last):\n", b"[1,2]\n", b'{"type":"pong"}\n'])
def test_a_worker_that_does_not_introduce_itself_is_a_mismatch(
    a_waiting_client: EngineClient, listener: Listener, first_line: bytes
) -> None:
    listener.ask(a_waiting_client)
    a_waiting_client.receive(first_line)
    assert listener.ends[0].code == "protocol_mismatch"


# ---- events and ends


def test_every_request_has_an_id_of_its_own(client: EngineClient) -> None:
    assert len({Listener().ask(client) for _ in range(20)}) == 20


def test_the_id_returned_is_the_id_sent(client: EngineClient, wire: Wire, listener: Listener) -> None:
    assert listener.ask(client) == wire.messages[0].id


def test_events_arrive_in_their_order(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    sent = [Progress(request_id, n, 9, f"Slice {n}") for n in range(9)]
    client.receive(b"".join(map(line, sent)))
    assert listener.events == sent


def test_a_request_ends_once_though_the_worker_says_so_twice(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.receive(line(Done(request_id, 0.1)) + line(Failed(request_id, "internal", "again")))
    assert listener.ends == [Done(request_id, 0.1)]


def test_events_after_the_end_are_unheard(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.receive(line(Done(request_id, 0.1)) + line(replace(MASK, id=request_id)))
    assert listener.events == []


def test_events_of_an_unknown_request_are_unheard(client: EngineClient, listener: Listener) -> None:
    listener.ask(client)
    client.receive(line(replace(MASK, id="r99")))
    assert listener.events == []


def test_two_requests_hear_their_own_events_only(client: EngineClient) -> None:
    one, two = Listener(), Listener()
    first, second = one.ask(client), two.ask(client)
    client.receive(line(Progress(second, 1, 1, "")) + line(Done(first, 0.1)))
    assert (one.events, two.events, two.ends) == ([], [Progress(second, 1, 1, "")], [])


@pytest.mark.parametrize("end", [Done("r1", 0.1), Failed("r1", "internal", "no"), Cancelled("r1")])
def test_each_kind_of_end_is_an_end(client: EngineClient, listener: Listener, end: End) -> None:
    listener.ask(client)
    client.receive(line(end))
    assert (listener.ends, client.is_busy) == ([end], False)


def test_a_client_with_a_request_is_busy(client: EngineClient, listener: Listener) -> None:
    listener.ask(client)
    assert client.is_busy


def test_a_request_made_from_an_end_is_sent(client: EngineClient, wire: Wire) -> None:
    follower = Listener()
    first = client.request(REQUEST, lambda event: None, lambda end: [follower.ask(client)])
    client.receive(line(Done(first, 0.1)))
    assert len(wire.lines) == 2


def test_an_event_whose_listener_fails_does_not_lose_the_end(client: EngineClient, listener: Listener) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("the segment was deleted")

    request_id = client.request(REQUEST, fail, listener.ends.append)
    with pytest.raises(RuntimeError):
        client.receive(line(Progress(request_id, 1, 1, "")) + line(Done(request_id, 0.1)))
    client.receive(line(Pong(1)))
    assert listener.ends == [Done(request_id, 0.1)]


@given(st.lists(st.integers(1, 400), max_size=6))
def test_bytes_may_be_cut_anywhere(cuts: list[int]) -> None:
    client, listener = EngineClient(Wire()), Listener()
    request_id = listener.ask(client)
    events = [replace(MASK, id=request_id), Progress(request_id, 1, 2, "Schicht 1 – größer")]
    end = Done(request_id, 0.1)
    data = b"".join(map(line, [HELLO, *events, end]))
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for first, last in itertools.pairwise(edges):
        client.receive(data[first:last])
    assert (listener.events, listener.ends) == (events, [end])


def test_empty_lines_mean_nothing(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.receive(b"\n  \r\n" + line(Done(request_id, 0.1)))
    assert listener.ends == [Done(request_id, 0.1)]


# ---- cancel and ping


def test_a_cancel_names_its_request(client: EngineClient, wire: Wire, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.cancel(request_id)
    assert wire.messages[-1].request_id == request_id


def test_a_cancel_is_not_yet_the_end(client: EngineClient, listener: Listener) -> None:
    client.cancel(listener.ask(client))
    assert listener.ends == []


def test_masks_sent_before_the_cancel_was_heard_still_arrive(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.cancel(request_id)
    client.receive(line(replace(MASK, id=request_id)) + line(Cancelled(request_id)))
    assert (len(listener.events), listener.ends) == (1, [Cancelled(request_id)])


def test_a_request_that_has_ended_is_not_cancelled(client: EngineClient, wire: Wire, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.receive(line(Done(request_id, 0.1)))
    client.cancel(request_id)
    assert len(wire.lines) == 1


def test_a_ping_is_sent(client: EngineClient, wire: Wire) -> None:
    client.ping(5)
    assert wire.messages == [Ping(5)]


def test_the_last_pong_is_known(client: EngineClient) -> None:
    client.receive(line(Pong(5)))
    assert client.last_pong == 5


# ---- the end of the worker


def test_a_dead_worker_fails_everything_pending(client: EngineClient) -> None:
    listeners = [Listener() for _ in range(3)]
    asked = [one.ask(client) for one in listeners]
    client.end_all("worker_died", "The engine has stopped.")
    assert [one.ends for one in listeners] == [[Failed(r, "worker_died", "The engine has stopped.")] for r in asked]


def test_a_dead_worker_fails_what_waited_for_hello(a_waiting_client: EngineClient, listener: Listener) -> None:
    listener.ask(a_waiting_client)
    a_waiting_client.end_all("not_started", "The engine did not start.")
    assert [end.code for end in listener.ends] == ["not_started"]


def test_a_request_to_a_dead_worker_fails_at_once(client: EngineClient, listener: Listener) -> None:
    client.end_all("worker_died", "The engine has stopped.")
    request_id = listener.ask(client)
    assert listener.ends == [Failed(request_id, "worker_died", "The engine has stopped.")]


def test_nothing_is_sent_to_a_dead_worker(client: EngineClient, wire: Wire, listener: Listener) -> None:
    client.end_all("worker_died", "The engine has stopped.")
    listener.ask(client)
    assert wire.lines == []


def test_a_dead_worker_leaves_the_client_idle(client: EngineClient, listener: Listener) -> None:
    listener.ask(client)
    client.end_all("worker_died", "The engine has stopped.")
    assert not client.is_busy


def test_the_first_reason_of_a_death_stays(client: EngineClient, listener: Listener) -> None:
    client.end_all("worker_stuck", "The engine does not answer.")
    client.end_all("worker_died", "The engine has stopped.")
    listener.ask(client)
    assert listener.ends[0].code == "worker_stuck"


def test_the_last_words_of_a_dead_worker_are_unheard(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.end_all("worker_died", "The engine has stopped.")
    client.receive(line(replace(MASK, id=request_id)) + line(Done(request_id, 0.1)))
    assert (listener.events, len(listener.ends)) == ([], 1)


@pytest.mark.parametrize("nonsense", [b"Segmentation fault\n", b"\xff\xfe\n", b'{"type":"done","id":"r1"}\n'])
def test_a_worker_that_talks_nonsense_is_given_up(client: EngineClient, listener: Listener, nonsense: bytes) -> None:
    listener.ask(client)
    client.receive(nonsense)
    assert [end.code for end in listener.ends] == ["worker_died"]


def test_nothing_is_heard_after_nonsense(client: EngineClient, listener: Listener) -> None:
    request_id = listener.ask(client)
    client.receive(b"nonsense\n" + line(replace(MASK, id=request_id)))
    assert listener.events == []
