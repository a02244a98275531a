"""TLS with an authority of one's own: who is trusted, by which option, and what is said of the others."""

from __future__ import annotations

import socket
import ssl
import threading
from contextvars import copy_context

import pytest

from cloudckpt.errors import StorageError, StorageTimeoutError, TransientStorageError
from cloudckpt.storage.deadline import cut_off
from cloudckpt.storage.http.client import HttpClient, Request
from cloudckpt.storage.http.failures import no_answer
from cloudckpt.storage.http.pool import Origin
from cloudckpt.storage.http.tls import tls_context
from tests.storage.authority import Authority
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import s3_store


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def elsewhere(tmp_path):
    """An authority that signed nothing of the server's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Authority(folder)


def ask(client, server, **fields):
    return client.request(Request("GET", server.url + "/key", {}, "s3://bucket/key", **fields))


def refused(client, server):
    with pytest.raises(StorageError, match=r"the certificate of 127\.0\.0\.1 is not trusted") as failure:
        ask(client, server)
    assert not isinstance(failure.value, TransientStorageError)
    return str(failure.value)


@pytest.mark.parametrize("checked", [True, False])
def test_a_server_is_trusted_by_its_authority(authority, checked):
    given = str(authority.path) if checked else False
    with scripted_server(Answer(body=b"yes"), tls=authority.server_tls()) as server:
        client = HttpClient(tls=tls_context(given))
        assert ask(client, server).body == b"yes"
        client.close()


def test_a_connection_is_kept(authority):
    with scripted_server(*[Answer(body=b"x" * 1000)] * 5, tls=authority.server_tls()) as server:
        client = HttpClient(tls=tls_context(str(authority.path)))
        for _ in range(5):
            ask(client, server)
        client.close()
        assert server.connections == 1


def test_a_large_body_goes_out_and_comes_back(authority):
    body, back = bytes(range(256)) * (1 << 14), bytearray(1 << 22)
    with scripted_server(by=lambda seen: Answer(206, seen.body), tls=authority.server_tls()) as server:
        client = HttpClient(tls=tls_context(str(authority.path)))
        request = Request("PUT", server.url, {}, "s3://bucket/key", body=[body], into=[memoryview(back)])
        assert client.request(request).filled == len(body)
        client.close()
    assert back == body


def test_an_unknown_authority(authority, elsewhere):
    with scripted_server(tls=authority.server_tls()) as server:
        assert "name its file in SSL_CERT_FILE" in refused(HttpClient(tls=tls_context(str(elsewhere.path))), server)


def test_the_system_does_not_trust_it(authority):
    with scripted_server(tls=authority.server_tls()) as server:
        refused(HttpClient(), server)


def test_a_server_of_another_name(authority):
    with scripted_server(tls=authority.server_tls("other.example.com")) as server:
        message = refused(HttpClient(tls=tls_context(str(authority.path))), server)
    assert "mismatch" in message
    assert "ask the server by a name that is in its certificate" in message


def test_a_certificate_that_has_expired(authority):
    with scripted_server(tls=authority.server_tls(ended=True)) as server:
        message = refused(HttpClient(tls=tls_context(str(authority.path))), server)
    assert "expired" in message
    assert "must renew it" in message


def test_a_server_without_tls():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/key"
        with pytest.raises(StorageError, match="does not speak TLS") as failure:
            HttpClient().request(Request("GET", url, {}, "s3://bucket/key"))
        thread.join()
    assert not isinstance(failure.value, TransientStorageError)


@pytest.mark.parametrize(("known", "passes"), [(False, False), (True, True)])
@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION"])
def test_a_server_that_has_spoken_tls_will_speak_it_again(reason, known, passes):
    """Between, it is the network that has damaged a byte."""
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    request = Request("GET", "https://there/key", {}, "s3://bucket/key")
    judged = no_answer(request, Origin("https", "there", 443), error, known=known)
    assert isinstance(judged, TransientStorageError) is passes


def test_a_server_of_another_version_of_tls(authority):
    tls, ours = authority.server_tls(), tls_context(str(authority.path))
    tls.minimum_version, ours.maximum_version = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
    with scripted_server(tls=tls) as server, pytest.raises(StorageError, match="agree on TLS") as failure:
        ask(HttpClient(tls=ours), server)
    assert not isinstance(failure.value, TransientStorageError)


@pytest.mark.parametrize("proxied", [False, True])
def test_a_handshake_that_does_not_end_is_cut(proxied):
    with socket.create_server(("127.0.0.1", 0)) as listener, cut_off() as cut:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        client = HttpClient(connect_timeout=120, proxies={"https": f"http://{address}"} if proxied else {})
        failures = []

        def request():
            with pytest.raises(StorageTimeoutError) as failure:
                client.request(Request("GET", f"https://{address}/key", {}, "s3://bucket/key"))
            failures.append(failure.value)

        thread = threading.Thread(target=copy_context().run, args=[request])
        thread.start()
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1 << 16)  # it has begun to speak, and waits
            cut()
            thread.join(30)
            assert len(failures) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_can_not_be_read(tmp_path, content):
    path = tmp_path / "authority.pem"
    if content:
        path.write_text(content)
    with pytest.raises(StorageError, match=r"authority\.pem' can't be read"):
        tls_context(str(path))


def test_a_client_shows_its_certificate(authority):
    tls = authority.server_tls()
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.path)
    own = tuple(map(str, authority.certificate()))
    with scripted_server(Answer(body=b"yes"), tls=tls) as server:
        client = HttpClient(tls=tls_context(str(authority.path), own))
        assert ask(client, server).body == b"yes"
        client.close()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_environment_names_authorities(authority, monkeypatch, variable):
    monkeypatch.setenv(variable, str(authority.path))
    with scripted_server(Answer(), tls=authority.server_tls()) as server:
        client = HttpClient()
        ask(client, server)
        client.close()


def test_the_trust_of_s3fs_is_ours(authority, elsewhere, monkeypatch):
    with scripted_server(*[Answer()] * 4, tls=authority.server_tls()) as server:
        for verify in (str(authority.path), False):
            with s3_store(server, client_kwargs={"verify": verify}) as store:
                store.stat("key")
        with s3_store(server) as store, pytest.raises(StorageError, match="not trusted"):
            store.stat("key")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
        with s3_store(server) as store:
            store.stat("key")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(elsewhere.path))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.path))  # goes before, as in botocore
        with s3_store(server) as store:
            store.stat("key")
