"""The HTTP layer: bytes from where they are to where they shall be, connections that end, answers that lie."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from email.utils import format_datetime

import numpy as np
import pytest

from cloudckpt.errors import ShortReadError, StorageError, TransientStorageError
from cloudckpt.storage import per_process
from cloudckpt.storage.http.client import HttpClient, Request, Response, http_date, retry_after
from cloudckpt.storage.http.range import require_filled
from tests.storage.scripted_server import Answer, scripted_server

SUBJECT = "s3://bucket/key"


@pytest.fixture
def client():
    client = HttpClient(connect_timeout=5, read_timeout=5)
    yield client
    client.close()


def get(client, server, **fields):
    return client.request(Request("GET", server.url + "/key", {}, SUBJECT, **fields))


def put(client, server, body, **fields):
    return client.request(Request("PUT", server.url + "/key", {}, SUBJECT, body=body, **fields))


def test_buffers_of_any_shape_go_out_in_order(client):
    grid = np.arange(6, dtype=np.uint16).reshape(2, 3)
    with scripted_server(Answer()) as server:
        put(client, server, [b"ab", np.empty((0, 3)), grid, bytearray(b"z")])
        assert server.seen[0].body == b"ab" + grid.tobytes() + b"z"
        assert server.seen[0].headers["content-length"] == "15"


def test_a_large_body_arrives_whole(client):
    body = np.random.default_rng(0).bytes((3 << 20) + 17)
    with scripted_server(Answer()) as server:
        put(client, server, [memoryview(body)])
        assert server.seen[0].body == body


def test_a_body_goes_straight_into_the_buffers(client):
    out = bytearray(8)
    view = memoryview(out)
    with scripted_server(Answer(206, b"01234567")) as server:
        answer = get(client, server, into=[view[:3], view[3:3], view[3:]])
    assert (out, answer.filled, answer.body) == (b"01234567", 8, b"")


@pytest.mark.parametrize("status", [404, 412, 503])
def test_the_body_of_a_failure_goes_not_into_the_buffers(client, status):
    out = bytearray(4)
    with scripted_server(Answer(status, b"sorry")) as server:
        answer = get(client, server, into=[memoryview(out)])
    assert (answer.status, answer.body, out) == (status, b"sorry", bytes(4))


def test_chunked_bodies_are_read_either_way(client):
    chunked = Answer(206, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"})
    out = bytearray(5)
    with scripted_server(chunked, chunked, Answer()) as server:
        assert get(client, server).body == b"abcde"
        assert get(client, server, into=[memoryview(out)]).filled == 5
        get(client, server)
        assert server.connections == 1
    assert out == b"abcde"


def test_more_body_than_buffers_ends_the_connection_instead_of_reading_on(client):
    out = bytearray(2)
    with scripted_server(Answer(200, b"x" * 1000), Answer(200, b"next")) as server:
        assert get(client, server, into=[memoryview(out)]).filled == 2
        assert get(client, server).body == b"next"
        assert server.connections == 2


def test_a_connection_is_kept(client):
    with scripted_server(Answer(body=b"one"), Answer(404), Answer(body=b"two")) as server:
        assert [get(client, server).body for _ in range(3)] == [b"one", b"", b"two"]
        assert server.connections == 1


def test_a_server_may_end_the_connection_with_its_answer(client):
    with scripted_server(Answer(headers={"Connection": "close"}), Answer()) as server:
        get(client, server)
        get(client, server)
        assert server.connections == 2


def test_a_kept_connection_that_has_ended_is_noticed_before_it_is_used(client):
    with scripted_server(Answer(close_after=True), Answer()) as server:
        get(client, server)
        assert server.ended.wait(5)
        put(client, server, [b"not repeatable"])
        assert [seen.body for seen in server.seen] == [b"", b"not repeatable"]


def test_a_kept_connection_that_ends_without_an_answer_is_replaced_once_for_repeatable_requests(client):
    with scripted_server(Answer(), Answer(drop=True), Answer(body=b"yes")) as server:
        get(client, server)
        assert get(client, server, repeatable=True).body == b"yes"
        assert server.connections == 2


@pytest.mark.parametrize(("script", "repeatable"), [([Answer()], False), ([], True)])
def test_other_requests_without_an_answer_fail(client, script, repeatable):
    with scripted_server(*script, Answer(drop=True)) as server:
        for _ in script:
            get(client, server)
        with pytest.raises(TransientStorageError, match=SUBJECT) as failure:
            put(client, server, [b"once"], repeatable=repeatable)
        assert server.url in str(failure.value)


@pytest.mark.parametrize("into", [(), (memoryview(bytearray(100)),)])
@pytest.mark.parametrize("limit", [None, 1000])
def test_a_body_that_is_cut_is_no_answer(client, into, limit):
    with (
        scripted_server(Answer(206, b"x" * 100, cut=60)) as server,
        pytest.raises(TransientStorageError, match="the connection ended 40 bytes before"),
    ):
        get(client, server, into=into, limit=limit)


def test_a_cut_chunked_body_is_no_answer(client):
    cut = Answer(200, b"64\r\nabc", {"Transfer-Encoding": "chunked"}, cut=7)
    with scripted_server(cut) as server, pytest.raises(TransientStorageError):
        get(client, server)


def test_silence_is_an_error_in_time():
    client = HttpClient(read_timeout=0.1)
    with scripted_server(Answer(hang=True)) as server, pytest.raises(TransientStorageError, match="timed out"):
        get(client, server)


def test_nobody_there(client):
    with scripted_server() as server:
        pass
    with pytest.raises(TransientStorageError, match="refused"):
        get(client, server)


def test_an_early_refusal_is_heard(client):
    with scripted_server(Answer(403, b"no", early=True)) as server:
        assert put(client, server, [bytes(32 << 20)]).status == 403


def test_an_endless_answer_is_refused(client):
    with scripted_server(Answer(body=b"x" * 101)) as server, pytest.raises(StorageError, match="longer than 100 bytes"):
        get(client, server, limit=100)


def test_many_threads_share_the_client(client):
    with scripted_server(by=lambda seen: Answer(200, seen.body)) as server, ThreadPoolExecutor(8) as pool:
        bodies = [b"%d" % number * 1000 for number in range(200)]
        answers = list(pool.map(lambda body: put(client, server, [body]).body, bodies))
        assert server.connections <= 8
    assert answers == bodies


def test_a_forked_child_has_connections_of_its_own(client, monkeypatch):
    with scripted_server(Answer(), Answer(body=b"child")) as server:
        get(client, server)
        monkeypatch.setattr(per_process.os, "getpid", lambda: -1)
        assert get(client, server).body == b"child"
        assert server.connections == 2


def test_a_lock_that_was_held_at_the_fork_does_not_stop_the_child(client, monkeypatch):
    with scripted_server(Answer(), Answer(body=b"child")) as server:
        get(client, server)
        held = client._pool._idle.get().lock
        with held:
            monkeypatch.setattr(per_process.os, "getpid", lambda: -1)
            thread = threading.Thread(target=get, args=[client, server])
            thread.start()
            thread.join(10)
            assert not thread.is_alive()


def test_a_closed_client_keeps_nothing(client):
    with scripted_server(Answer(), Answer()) as server:
        get(client, server)
        client.close()
        assert server.ended.wait(5)
        get(client, server)
        assert not any(client._pool._idle.get().by_origin.values())


def test_headers_stay_out_of_reprs():
    assert "secret" not in repr(Request("GET", "http://host/key", {"Authorization": "secret"}, SUBJECT))


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("0", 0.0), ("", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)]
)
def test_how_long_to_wait(value, seconds):
    headers = Message()
    headers["Retry-After"] = value
    assert retry_after(headers) == seconds


def test_how_long_to_wait_until_a_date():
    headers = Message()
    headers["Retry-After"] = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), usegmt=True)
    assert 3500 < retry_after(headers) <= 3600


def test_dates():
    assert http_date("Thu, 01 Jan 1970 00:01:00 GMT") == 60.0
    assert http_date("yesterday") == 0.0


@pytest.mark.parametrize(
    ("status", "content_range", "filled", "error"),
    [
        (206, "bytes 5-14/100", 10, None),
        (206, "bytes 5-11/12", 7, ShortReadError),
        (416, "bytes */3", 0, ShortReadError),
        (416, "", 0, ShortReadError),
        (206, "bytes 0-9/100", 10, StorageError),
        (206, "", 10, StorageError),
        (206, "bytes 5-14/100", 9, TransientStorageError),
        (200, "", 10, StorageError),
    ],
)
def test_a_range_is_taken_only_if_it_is_the_one_that_was_asked_for(status, content_range, filled, error):
    headers = Message()
    headers["Content-Range"] = content_range
    answer = Response(status, headers, b"", filled)
    if error is None:
        require_filled(answer, 5, 10, SUBJECT)
        return
    with pytest.raises(error, match=SUBJECT) as failure:
        require_filled(answer, 5, 10, SUBJECT)
    assert type(failure.value) is error


def test_a_password_in_the_endpoint_is_in_no_message(client):
    request = Request("GET", "http://user:a-password-of-mine@127.0.0.1:1/key", {}, SUBJECT)
    with pytest.raises(TransientStorageError, match=r"http://127\.0\.0\.1:1") as caught:
        client.request(request)
    assert "a-password-of-mine" not in str(caught.value) + repr(request)


def test_chunks_may_be_followed_by_trailers(client):
    chunked = Answer(200, b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", {"Transfer-Encoding": "chunked"})
    out = bytearray(3)
    with scripted_server(chunked, chunked, Answer()) as server:
        assert get(client, server).body == b"abc"
        assert get(client, server, into=[memoryview(out)]).filled == 3
        get(client, server)
        assert server.connections == 1
    assert out == b"abc"


@pytest.mark.parametrize("chunked", [b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabc", b"3\r\nabc\r\n", b"3\r\nabc", b"3"])
@pytest.mark.parametrize("into", [(), (memoryview(bytearray(9)),)])
def test_chunks_that_are_none(client, chunked, into):
    answer = Answer(206, chunked, {"Transfer-Encoding": "chunked"}, cut=100)
    with scripted_server(answer) as server, pytest.raises(TransientStorageError):
        get(client, server, into=into)


HEAD = b'HTTP/1.1 200 OK\r\nX-First: 1\r\nContent-Length: 0\r\nETag: "abcdef"\r\n\r\n'


@pytest.mark.parametrize("end", range(len(HEAD)))
def test_half_a_head_is_no_answer(client, end):
    with scripted_server(Answer(raw=HEAD[:end])) as server, pytest.raises(TransientStorageError):
        get(client, server)


def test_a_whole_head_is_an_answer(client):
    with scripted_server(Answer(raw=HEAD)) as server:
        assert get(client, server).headers["ETag"] == '"abcdef"'


def test_an_older_server_ends_the_connection_after_each_answer(client):
    old = Answer(raw=b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
    with scripted_server(old, old) as server:
        assert [get(client, server, limit=None).body for _ in range(2)] == [b"old", b"old"]
        assert server.connections == 2


def test_an_object_without_a_length_may_be_half_of_it(client):
    endless = Answer(raw=b"HTTP/1.0 200 OK\r\n\r\nhalf of")
    with scripted_server(endless, endless) as server:
        with pytest.raises(TransientStorageError, match="before the end of the answer"):
            get(client, server, limit=None)
        assert get(client, server).body == b"half of"  # a document shows itself whether it is whole


def test_a_server_may_ask_for_the_body_though_nobody_waited(client):
    with scripted_server(Answer(unasked=True), Answer(body=b"kept")) as server:
        put(client, server, [bytes(3 << 20)])
        assert len(server.seen[0].body) == 3 << 20
        assert get(client, server).body == b"kept"
        assert server.connections == 1


def test_a_kept_connection_that_ends_instead_of_answering_a_put_is_replaced(client):
    with scripted_server(Answer(), Answer(drop=True), Answer(body=b"yes")) as server:
        get(client, server)
        assert put(client, server, [b"body"], repeatable=True).body == b"yes"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("errno", "kind"), [(socket.EAI_AGAIN, TransientStorageError), (socket.EAI_NONAME, StorageError)]
)
def test_a_name_that_is_not_found(client, monkeypatch, errno, kind):
    def unknown(*_, **__):
        raise socket.gaierror(errno, "not found")

    with scripted_server(Answer()) as server:
        request = Request("GET", server.url.replace("127.0.0.1", "localhost"), {}, SUBJECT)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", unknown)
            with pytest.raises(StorageError) as failure:
                client.request(request)
            assert type(failure.value) is kind
        client.request(request)
        client.close()
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(TransientStorageError):  # it was known before
            client.request(request)


def test_every_address_of_a_name_is_tried(client, monkeypatch):
    with scripted_server(Answer(body=b"yes")) as server:
        port = int(server.url.rpartition(":")[2])
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))
        alive = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, alive])
        assert get(client, server).body == b"yes"


@pytest.mark.parametrize("value", ["secret\n", "secret\N{SNOWMAN}"])
def test_a_header_that_can_not_be_written_is_named_and_not_shown(client, value):
    """A token that was read from a file may end with its line."""
    with (
        scripted_server() as server,
        pytest.raises(StorageError, match="the header 'x-token' can't be sent") as failure,
    ):
        client.request(Request("GET", server.url, {"x-token": value}, SUBJECT))
    assert "secret" not in "".join(traceback.format_exception(failure.value))


@pytest.mark.parametrize("place", ["127.0.0.1:90000", "127.0.0.1:http", "[::1", "my host:9000", f"{'a' * 64}.com"])
def test_an_endpoint_that_is_none(client, place):
    with pytest.raises(StorageError, match="endpoint") as failure:
        client.request(Request("GET", f"http://{place}/bucket", {}, SUBJECT))
    assert not isinstance(failure.value, TransientStorageError)
