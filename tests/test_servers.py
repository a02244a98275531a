"""What keeps the tests themselves honest: no network, no credentials of the user, no silent lack of a real part."""

from __future__ import annotations

import os
import socket
import urllib.request

import pytest

import cloudckpt as ckpt
from tests.servers import find_binary, make_s3_bucket, minio_process, missing_part


@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 80), ("2001:db8::1", 80)])
def test_tests_do_not_reach_the_network(connect, address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(PermissionError, match="do not reach the network"):
        getattr(client, connect)(address)


def test_tests_do_not_see_credentials():
    assert not any(name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION", "GOOGLE_")) for name in os.environ)
    assert not os.path.exists(os.environ["AWS_CONFIG_FILE"])


def test_a_missing_part_is_a_skip_and_in_ci_a_failure(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="real part missing: a part; to get it: look for it"):
        missing_part("a part", "look for it")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="a part"):
        missing_part("a part", "look for it")


def test_binaries_are_found_where_the_environment_says(monkeypatch, tmp_path):
    binary = tmp_path / "a-server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("CLOUDCKPT_SERVERS", str(tmp_path))
    assert find_binary("a-server", "X") == str(binary)
    with pytest.raises(pytest.skip.Exception, match=r"make servers.*, or X=<URL>"):
        find_binary("no-such-server", "X")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"CLOUDCKPT_SERVERS=<folder of no-such-server>$"):
        find_binary("no-such-server")


def test_a_server_that_was_killed_starts_again_with_its_data(tmp_path):
    with minio_process(tmp_path) as process:
        server = make_s3_bucket("minio", process.endpoint)
        ckpt.save(f"{server.root}/ckpt", {"a": 1}, storage_options=server.storage_options)
        process.kill()
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(process.endpoint)
        process.start()
        assert ckpt.load(f"{server.root}/ckpt", storage_options=server.storage_options) == {"a": 1}


def test_whole_fault_loops_run_only_when_asked_for(request):
    """`make test` runs their samples, `make faults` the whole."""
    assert request.config.getini("addopts")[-2:] == ["-m", "not faults"]
