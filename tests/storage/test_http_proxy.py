"""Proxies: those of the environment and of botocore's options, to servers with and without TLS."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import pytest

from cloudckpt.errors import PermissionDeniedError, StorageError, TransientStorageError
from cloudckpt.storage.http.client import HttpClient, Request
from cloudckpt.storage.http.proxy import Proxies, Proxy
from cloudckpt.storage.http.tls import tls_context
from cloudckpt.storage.store import Always
from tests.servers import free_port
from tests.storage.authority import Authority
from tests.storage.proxy_server import proxy_server
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import put, s3_store

PASSWORD = "a-password: nobody may see it"
USER = "user:a-password%3A%20nobody%20may%20see%20it@"
BASIC = "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()


@pytest.fixture(params=["http", "https"])
def tls(request, tmp_path, monkeypatch):
    """The TLS of the server, or None; whoever connects trusts it."""
    if request.param == "http":
        return None
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    return authority.server_tls()


def ask(client, server, method="GET", **fields):
    return client.request(Request(method, server.url + "/key?a=b", {"x-mine": "1"}, "s3://bucket/key", **fields))


def test_requests_go_through_the_proxy_of_the_environment(tls, monkeypatch):
    with scripted_server(Answer(body=b"one"), Answer(), tls=tls) as server, proxy_server() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        client = HttpClient()
        assert ask(client, server).body == b"one"
        assert ask(client, server, "PUT", body=[b"data"]).status == 200
        client.close()
        assert server.seen[1].body == b"data"
    host = urlsplit(server.url).netloc
    if tls:
        assert [(method, target) for method, target, _ in proxy.seen] == [("CONNECT", host)]
        assert "x-mine" not in proxy.seen[0][2]
    else:
        assert [target for _, target, _ in proxy.seen] == [f"{server.url}/key?a=b"] * 2
        assert {headers["host"] for _, _, headers in proxy.seen} == {host}


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "example.com,127.0.0.1:{port}"])
def test_no_proxy_names_servers_that_are_reached_without(tls, monkeypatch, exception):
    with scripted_server(Answer(), tls=tls) as server, proxy_server() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", exception.format(port=urlsplit(server.url).port))
        client = HttpClient()
        ask(client, server)
        client.close()
    assert proxy.seen == []


def test_the_credentials_of_a_proxy_go_to_it_alone(tls):
    with scripted_server(Answer(), tls=tls) as server, proxy_server(BASIC) as proxy:
        url = f"http://{USER}{proxy.address}"
        client = HttpClient(proxies={"http": url, "https": url})
        ask(client, server)
        client.close()
        assert "proxy-authorization" not in server.seen[0].headers
    assert proxy.seen[0][2]["proxy-authorization"] == BASIC
    assert "x-mine" not in proxy.seen[0][2] or tls is None


def test_a_proxy_that_refuses_does_so_for_good_and_shows_no_password(tls):
    with scripted_server(tls=tls) as server, proxy_server("Basic other") as proxy:
        url = f"http://{USER}{proxy.address}"
        client = HttpClient(proxies={"http": url, "https": url})
        with pytest.raises(PermissionDeniedError, match=f"the proxy {proxy.address} refused .*407") as failure:
            ask(client, server)
        client.close()
    shown = f"{failure.value!r} {failure.value} {Proxy.parse(url)!r} {Proxy.parse(url)}"
    assert not any(hidden in shown for hidden in (PASSWORD, "a-password", BASIC))


def test_a_proxy_that_is_not_there_may_come_back(tls):
    nobody = {scheme: f"http://{USER}127.0.0.1:{free_port()}" for scheme in ("http", "https")}
    through = r"through the proxy 127\.0\.0\.1:"
    with scripted_server(tls=tls) as server, pytest.raises(TransientStorageError, match=through) as failure:
        ask(HttpClient(proxies=nobody), server)
    assert "a-password" not in str(failure.value)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "https://127.0.0.1:3128", "http://", "http://host:port"])
def test_what_is_no_plain_proxy_is_refused(url):
    with scripted_server() as server, pytest.raises(StorageError, match="spoken to by plain HTTP") as failure:
        ask(HttpClient(proxies={"http": url.replace("//", f"//{USER}")}), server)
    assert not isinstance(failure.value, TransientStorageError)
    assert "a-password" not in str(failure.value)


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("http://proxy:3128", "proxy", 3128),
        ("proxy:3128", "proxy", 3128),
        ("//proxy", "proxy", 80),
        ("http://[::1]:3128/", "::1", 3128),
    ],
)
def test_how_proxies_are_written(given, host, port):
    assert (Proxy.parse(given).host, Proxy.parse(given).port) == (host, port)


def test_options_know_no_exceptions(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    target = urlsplit("http://server/key")
    assert Proxies({"http": "http://proxy:3128"}).between(target) == Proxy("proxy", 3128)
    assert Proxies({"https": "http://proxy:3128"}).between(target) is None


@pytest.mark.parametrize("by", ["option", "environment"])
def test_s3_goes_through_the_proxy(tls, monkeypatch, by):
    with scripted_server(Answer(headers={"ETag": '"e"'}), tls=tls) as server, proxy_server() as proxy:
        proxies = dict.fromkeys(("http", "https"), f"http://{proxy.address}")
        options = {}
        if by == "option":
            options["config_kwargs"] = {"proxies": proxies}
        else:
            for scheme, url in proxies.items():
                monkeypatch.setenv(f"{scheme}_proxy", url)
        with s3_store(server, **options) as store:
            assert put(store, "key", condition=Always()).version == "e"
    assert len(proxy.seen) == 1


def test_a_tunnel_hides_a_wrong_server_from_nobody(tmp_path):
    authority = Authority(tmp_path)
    with scripted_server(tls=authority.server_tls("other.example.com")) as server, proxy_server() as proxy:
        client = HttpClient(tls=tls_context(str(authority.path)), proxies={"https": f"http://{proxy.address}"})
        with pytest.raises(StorageError, match=r"not trusted .*mismatch"):
            ask(client, server)
