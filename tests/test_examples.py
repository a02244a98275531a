"""The demo keeps its promises on every S3 server that is there, and its tripwire strikes exactly where it says."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from tests.tensorflow.conftest import require_tensorflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ObjectServer

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("server", ["minio", "moto_s3"])
def test_the_demo_loses_nothing(server: str, request: pytest.FixtureRequest) -> None:
    running: ObjectServer = request.getfixturevalue(server)
    environment = os.environ | {"CLOUDCKPT_TEST_S3_ENDPOINT": running.endpoint_url, "COLUMNS": "200"}
    command = [sys.executable, str(EXAMPLES / "demo.py")]
    demo = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "the final states are the same to the last bit" in demo.stdout
    assert len(re.findall(r"│ step \d+ +│$", demo.stdout, re.MULTILINE)) == 6
    assert demo.stderr == ""


class Recorder(ThreadingHTTPServer):
    """An HTTP server that writes down what reaches it: for each request, its line and the bytes of its body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.seen: list[tuple[str, int]] = []
        self.arrived = threading.Semaphore(0)


class RecordingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, len(body)))
        self.server.arrived.release()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def tripwire(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import tripwire

    return tripwire


def put(connection: http.client.HTTPConnection, path: str, size: int) -> int:
    connection.request("PUT", path, b"x" * size)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_the_tripwire_passes_other_requests_on_unchanged(recorder: Recorder, tripwire: Any) -> None:
    with tripwire.Tripwire(*recorder.server_address) as wire:
        wire.arm(tripwire.Moment("^PUT /never"), lambda: pytest.fail("pulled"))
        connection = http.client.HTTPConnection(wire.url.removeprefix("http://"))
        assert [put(connection, "/a", 0), put(connection, "/b", 300_000)] == [200, 200]
        connection.close()
    assert recorder.seen == [("/a", 0), ("/b", 300_000)]


@pytest.mark.parametrize(("share", "reaches_the_server"), [(0.0, []), (0.25, [("/b", 50_000)])])
def test_the_tripwire_lets_just_the_share_pass(
    share: float, reaches_the_server: list[tuple[str, int]], recorder: Recorder, tripwire: Any
) -> None:
    pulled = []
    with tripwire.Tripwire(*recorder.server_address) as wire:
        wire.arm(tripwire.Moment("^PUT /b", share=share), lambda: pulled.append(1))
        connection = http.client.HTTPConnection(wire.url.removeprefix("http://"))
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            put(connection, "/b", 200_000)
        connection.close()
        for _ in reaches_the_server:
            assert recorder.arrived.acquire(timeout=30)
    assert recorder.seen == reaches_the_server
    assert pulled == [1]


def test_the_tripwire_waits_for_the_request_that_must_come_first(recorder: Recorder, tripwire: Any) -> None:
    pulled = []
    with tripwire.Tripwire(*recorder.server_address) as wire:
        wire.arm(tripwire.Moment("^PUT /state", after="^PUT /index"), lambda: pulled.append(1))
        connection = http.client.HTTPConnection(wire.url.removeprefix("http://"))
        assert [put(connection, path, 9) for path in ("/state", "/index")] == [200, 200]
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            put(connection, "/state", 9)
        connection.close()
    assert [path for path, _ in recorder.seen] == ["/state", "/index"]
    assert pulled == [1]


def run_example(script: Path, *arguments: str, **environment: str) -> str:
    """What a script prints; it must end well."""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parent)])} | environment
    command = [sys.executable, str(script), *arguments]
    example = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert example.returncode == 0, example.stdout + example.stderr
    return example.stdout


@pytest.mark.parametrize("server", ["minio", "moto_s3"])
@pytest.mark.parametrize("script", ["tf1_training.py", "eager_training.py"])
def test_a_training_script_that_is_killed_loses_nothing(
    script: str, server: str, request: pytest.FixtureRequest
) -> None:
    running: ObjectServer = request.getfixturevalue(server)
    printed = run_example(EXAMPLES / "killed.py", script, CLOUDCKPT_TEST_S3_ENDPOINT=running.endpoint_url)
    assert re.findall(r"started at step (\d+)", printed) == ["0", "20", "60"]
    assert "the final states are the same to the last bit" in printed


ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
IMPORT = re.compile(r"^import cloudckpt\.compat\.v1 as tf .*$", re.MULTILINE)


def test_the_script_for_tensorflow_1_differs_in_its_import_only(tmp_path: Path) -> None:
    require_tensorflow()
    source = (EXAMPLES / "tf1_training.py").read_text()
    theirs, replaced = IMPORT.subn("import tensorflow.compat.v1 as tf", source)
    assert replaced == 1
    assert len(re.findall(r"\b(?:cloudckpt|ckpt)\.", theirs)) == 0
    (tmp_path / "theirs.py").write_text(theirs)
    run_example(EXAMPLES / "tf1_training.py", str(tmp_path / "ours"), **ONE_THREAD)
    run_example(tmp_path / "theirs.py", str(tmp_path / "theirs"), **ONE_THREAD)
    files = [sorted(path.name for path in (tmp_path / side).iterdir()) for side in ("ours", "theirs")]
    assert files[0] == files[1]
    assert tensors(tmp_path / "ours" / "model-120") == tensors(tmp_path / "theirs" / "model-120")


def tensors(prefix: Path) -> dict[str, bytes]:
    with ckpt.open_checkpoint(prefix) as checkpoint:
        return {name: checkpoint[name][...].tobytes() for name in checkpoint}
