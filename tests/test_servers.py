"""What keeps the tests themselves honest: no network, no credentials of the user, no silent lack of a real part."""

from __future__ import annotations

import os
import socket

import pytest

from tests.servers import find_binary, missing_part


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
    with pytest.raises(pytest.skip.Exception, match="make servers"):
        find_binary("no-such-server", "X")
