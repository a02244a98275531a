"""docker/: compose.yaml says what the tests and scripts say, and the demo in containers judges as it should.

No engine is needed for these: the demo's job runs here as a process, killed over real toxiproxy and MinIO.
"""

from __future__ import annotations

import fnmatch
import http.client
import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
import pytest
import yaml
from rich.console import Console

from tests.servers import ACCESS_KEY, REGION, SECRET_KEY, running_toxiproxy

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))


def test_without_a_profile_it_is_the_servers_of_the_tests():
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {"minio", "fake-gcs-server"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check["interval"] == "1s"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_built_from_a_dockerfile_that_is_there(name):
    build = SERVICES[name]["build"]
    assert "image" not in SERVICES[name]
    assert (DOCKER / build.get("context", ".") / build["dockerfile"]).resolve() in DOCKERFILES


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_base_images_have_a_version(path):
    images = re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)
    assert images
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+(-[a-z]+)?", image) for image in images), images


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_alone(name):
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in SERVICES[name].get("ports", []))


def test_versions_are_those_that_go_builds():
    script = (ROOT / "scripts" / "servers.sh").read_text()
    pinned = re.findall(r'^  "(?:minio|fake-gcs-server|toxiproxy-server) \S+ (\S+) (\S+)"$', script, re.MULTILINE)
    built = [service["build"]["args"] for service in SERVICES.values() if "args" in service["build"]]
    assert len(pinned) == 3
    assert {(args["PACKAGE"], args["VERSION"]) for args in built} == set(pinned)


def test_credentials_are_those_of_the_tests():
    minio, job = SERVICES["minio"]["environment"], SERVICES["job"]["environment"]
    assert (minio["MINIO_ROOT_USER"], minio["MINIO_ROOT_PASSWORD"]) == (ACCESS_KEY, SECRET_KEY)
    assert (job["AWS_ACCESS_KEY_ID"], job["AWS_SECRET_ACCESS_KEY"]) == (ACCESS_KEY, SECRET_KEY)
    assert job["AWS_DEFAULT_REGION"] == REGION


@pytest.mark.parametrize("where", ["docker/compose.yaml", "scripts/servers.sh"])
def test_the_tests_are_sent_to_the_ports_that_are_open(where):
    text = (ROOT / where).read_text()
    for variable, service in (
        ("CLOUDCKPT_TEST_S3_ENDPOINT", "minio"),
        ("CLOUDCKPT_TEST_GCS_ENDPOINT", "fake-gcs-server"),
    ):
        [port] = SERVICES[service]["ports"]
        assert f"{variable}=http://{port.rpartition(':')[0]}" in text


def test_the_job_reaches_minio_over_toxiproxy():
    [proxy] = json.loads((DOCKER / "toxiproxy.json").read_text())
    endpoint = urlsplit(SERVICES["job"]["environment"]["AWS_ENDPOINT_URL"])
    assert (endpoint.hostname, proxy["listen"]) == ("toxiproxy", f"0.0.0.0:{endpoint.port}")
    host, _, port = proxy["upstream"].partition(":")
    assert SERVICES[host]["command"][-1] == f":{port}"
    mounted = SERVICES["toxiproxy"]["volumes"][0].split(":")
    assert mounted[0] == "./toxiproxy.json"
    assert mounted[1] in SERVICES["toxiproxy"]["command"]


def test_what_the_jobs_image_is_made_of_is_there_and_sent_to_docker():
    recipe = (DOCKER / "job.Dockerfile").read_text()
    ignore = (DOCKER / "job.Dockerfile.dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignore if line.startswith("!")]
    copied = [name for line in re.findall(r"^COPY (.+)$", recipe, re.MULTILINE) for name in line.split()[:-1]]
    assert "*" in ignore
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)
    [command] = re.findall(r"^ENTRYPOINT (.+)$", recipe, re.MULTILINE)
    assert any(fnmatch.fnmatch(name, f"*/{json.loads(command)[1]}") for name in copied)


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="Docker's compose is not there, and no test needs it",
)
def test_docker_takes_the_file():
    command = ["docker", "compose", "--file", str(DOCKER / "compose.yaml"), "--profile", "job", "config", "--services"]
    services = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(services) == sorted(SERVICES)


@pytest.fixture
def preempt(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    spec = importlib.util.spec_from_file_location("preempt", DOCKER / "preempt.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def listen_before(server, toxiproxy):
    """A proxy before the server, under the name that toxiproxy.json gives it: its URL."""
    connection = http.client.HTTPConnection(toxiproxy, timeout=10)
    upstream = urlsplit(server.endpoint_url).netloc
    connection.request("POST", "/proxies", json.dumps({"name": "s3", "listen": "127.0.0.1:0", "upstream": upstream}))
    answer = connection.getresponse()
    assert answer.status == http.client.CREATED
    url = f"http://{json.load(answer)['listen']}"
    connection.close()
    return url


@pytest.fixture
def bucket_beyond_toxiproxy(preempt, monkeypatch, minio, tmp_path):
    """A directory of MinIO's, and jobs that run here as processes and reach it over toxiproxy."""
    with running_toxiproxy(tmp_path) as toxiproxy:
        address = urlsplit(toxiproxy).netloc
        endpoint = listen_before(minio, address)
        monkeypatch.setattr(preempt, "TOXIPROXY", address)

        class Process(preempt.Container):
            killed = -signal.SIGKILL

            def __init__(self, directory):
                environment = preempt.S3Server("MinIO", endpoint).environment() | {"PYTHONWARNINGS": "ignore"}
                command = [sys.executable, str(ROOT / "examples" / "digits.py"), directory]
                self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)

            def kill(self):
                self._process.kill()

        monkeypatch.setattr(preempt, "Container", Process)
        bucket = fsspec.filesystem("s3", **minio.storage_options)
        yield bucket, minio.fresh_url()


def test_what_is_killed_amid_a_save_is_resumed(preempt, bucket_beyond_toxiproxy):
    bucket, directory = bucket_beyond_toxiproxy
    outcomes = preempt.train_through_preemptions(directory, bucket, Console(quiet=True))
    assert all(outcome.as_promised for outcome in outcomes)
    assert [outcome.found for outcome in outcomes] == [0, 20, 60]
    assert max(preempt.steps(preempt.sizes(bucket, directory), ".index")) == 240


def test_a_job_that_is_not_killed_is_no_success(preempt, bucket_beyond_toxiproxy, monkeypatch):
    bucket, directory = bucket_beyond_toxiproxy
    monkeypatch.setattr(preempt.Container, "kill", lambda _: None)
    with pytest.raises(SystemExit, match="ended with status 0, not -9"):
        preempt.preempt(preempt.Container(directory), preempt.PREEMPTIONS[0], bucket, directory)


@pytest.mark.parametrize(
    ("amid_the_save", "found", "as_promised"), [(True, 60, True), (True, 40, False), (False, 60, False)]
)
def test_only_the_newest_whole_checkpoint_amid_a_save_counts(amid_the_save, found, as_promised, preempt):
    outcome = preempt.Outcome(preempt.PREEMPTIONS[0], amid_the_save, "whole 40 60", 60, found)
    assert outcome.as_promised is as_promised
