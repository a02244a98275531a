"""Who asks Cloud Storage and where: gcsfs's options, its credentials, and the emulators of the environment."""

from __future__ import annotations

import json
import os

import aiohttp
import pytest
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials

from cloudckpt.errors import PermissionDeniedError, StorageError, TransientStorageError
from cloudckpt.storage.gcs.access import GCSAccess
from cloudckpt.storage.gcs.store import GCSStore
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_gcs import Token, failing, gcs_store, put, resource

DATA = memoryview(bytes(range(256)) * 3072)
PART = 256 << 10


class Renewing(Token):
    """Credentials whose tokens are numbered."""

    def __init__(self, error=None):
        self.number = 1
        self.error = error

    def apply(self, headers):
        headers["authorization"] = f"Bearer {self.number}"

    def refresh(self, request):
        if self.error:
            raise self.error
        self.number += 1


class Expired(Renewing):
    """Credentials that are known to have expired, before the server says so."""

    valid = False


def takes_token(number, answer):
    """A server that knows only that token."""
    return lambda seen: answer if seen.headers.get("authorization") == f"Bearer {number}" else failing(401, "authError")


def tokens(server):
    return [seen.headers.get("authorization", "").removeprefix("Bearer ") for seen in server.seen]


def test_a_token_that_is_refused_is_renewed_once_and_the_request_repeated():
    with scripted_server(by=takes_token(2, resource())) as server, gcs_store(server, credentials=Renewing()) as store:
        assert put(store, "key", b"data").version == "5"
        store.stat("key")
        assert tokens(server) == ["1", "2", "2"]
        assert server.seen[0].body.count(b"data") == server.seen[1].body.count(b"data")


def test_a_range_is_read_with_the_new_token():
    answer = Answer(206, b"56", {"Content-Range": "bytes 5-6/10"})
    out = bytearray(2)
    with scripted_server(by=takes_token(2, answer)) as server, gcs_store(server, credentials=Renewing()) as store:
        store.read("key", 5, [memoryview(out)])
    assert out == b"56"


def test_a_new_token_that_is_refused_as_well_is_an_error():
    with scripted_server(by=takes_token(7, resource())) as server, gcs_store(server, credentials=Renewing()) as store:
        with pytest.raises(PermissionDeniedError, match=r"gcloud auth.*HTTP 401"):
            store.stat("key")
        assert tokens(server) == ["1", "2"]


def test_a_token_that_another_thread_has_renewed_is_not_renewed_again():
    credentials = Renewing()

    def answer(seen):
        if seen.headers["authorization"] == "Bearer 1":
            credentials.number = 2  # while this request is on its way
            return failing(401)
        return resource()

    with scripted_server(by=answer) as server, gcs_store(server, credentials=credentials) as store:
        store.stat("key")
        assert tokens(server) == ["1", "2"]


def test_without_credentials_there_is_nothing_to_renew():
    with scripted_server(failing(401)) as server, gcs_store(server, credentials=None) as store:
        with pytest.raises(PermissionDeniedError, match="HTTP 401"):
            store.stat("key")
        assert tokens(server) == [""]


def test_an_upload_goes_on_with_the_new_token():
    """Only what opens the session is authorised: the session's address is its own authorisation."""

    def answer(seen):
        if seen.query.get("uploadType") == "resumable":
            return takes_token(2, Answer(headers={"Location": f"{server.url}/session"}))(seen)
        last = int(seen.headers["content-range"].partition("-")[2].partition("/")[0])
        if last + 1 < len(DATA):
            return Answer(308, headers={"Range": f"bytes=0-{last}"})
        return resource(size=len(DATA), crc32c="AAAAAA==")

    with (
        scripted_server(by=answer) as server,
        gcs_store(server, part_size=PART, credentials=Renewing()) as store,
        store.create("key", len(DATA), Always()) as upload,
    ):
        for offset in range(0, len(DATA), PART):
            upload.write(offset, [DATA[offset : offset + PART]], 0)
        assert upload.complete(0).size == len(DATA)
        assert tokens(server) == ["1", "2", "", "", ""]


@pytest.mark.parametrize("credentials", [Expired, Renewing], ids=["before it is sent", "when it is refused"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefreshError("the account is gone"), PermissionDeniedError),
        (ValueError("the file is no key"), PermissionDeniedError),
        (FileNotFoundError("the key file is gone"), PermissionDeniedError),
        (TransportError("the token server is away"), TransientStorageError),
        (RefreshError("the token server says 503", retryable=True), TransientStorageError),
        (ConnectionResetError("reset"), TransientStorageError),
    ],
)
def test_credentials_that_can_not_be_renewed(credentials, error, kind):
    by = takes_token(2, resource())
    with scripted_server(by=by) as server, gcs_store(server, credentials=credentials(error)) as store:
        with pytest.raises(StorageError, match="credentials") as failure:
            store.stat("key")
        assert type(failure.value) is kind
        assert store.url("key") in str(failure.value)


def test_who_pays_is_named():
    with scripted_server(resource(), resource()) as server:
        for payer, project in ((True, "project"), ("another", "another")):
            with gcs_store(server, requester_pays=payer) as store:
                store.stat("key")
            assert server.seen[-1].query["userProject"] == project


SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "job@project.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
USER = {"type": "authorized_user", "client_id": "id", "client_secret": "hunter2", "refresh_token": "1//hunter2"}


@pytest.fixture(scope="module")
def private_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def credentials_of(token):
    options = {"token": token, "project": "project", "skip_instance_cache": True}
    with open_location("gs://bucket/run", options) as location:
        return location.store._store._client._access._filesystem.credentials.credentials


@pytest.mark.parametrize("form", ["dict", "path"])
def test_a_token_may_be_a_service_account(form, private_key, tmp_path):
    token = {**SERVICE_ACCOUNT, "private_key": private_key}
    if form == "path":
        (tmp_path / "key.json").write_text(json.dumps(token))
        token = str(tmp_path / "key.json")
    assert credentials_of(token).service_account_email == SERVICE_ACCOUNT["client_email"]


@pytest.mark.parametrize("form", ["dict", "path"])
def test_a_token_may_be_a_users_login(form, tmp_path):
    token = USER
    if form == "path":
        (tmp_path / "login.json").write_text(json.dumps(token))
        token = str(tmp_path / "login.json")
    assert credentials_of(token).refresh_token == USER["refresh_token"]


def test_a_token_may_be_credentials():
    given = Credentials("ya29.token")
    assert credentials_of(given) is given


def test_a_token_may_be_none_at_all():
    assert credentials_of("anon") is None


def test_google_default_reads_what_the_environment_names(tmp_path, monkeypatch):
    (tmp_path / "login.json").write_text(json.dumps(USER))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "login.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "project")
    assert credentials_of("google_default").refresh_token == USER["refresh_token"]


@pytest.mark.parametrize("token", ["google_default", {"what": "is this"}, "/nonexistent/\0"])
def test_a_token_that_is_none_shows_no_secret(token, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StorageError, match="can't be opened"):
        credentials_of(token)


@pytest.mark.parametrize(
    "endpoint", ["{url}", "{url}/", "{url}/storage/v1", "{url}/storage/v1/", "{url}/behind/a/proxy/"]
)
def test_an_endpoint_with_and_without_a_path(endpoint):
    with scripted_server(resource(), resource()) as server:
        with gcs_store(server, endpoint_url=endpoint.format(url=server.url)) as store:
            store.stat("key")
            put(store, "key")
        proxy = "/behind/a/proxy" if "proxy" in endpoint else ""
        assert server.seen[0].path.startswith(f"{proxy}/storage/v1/b/")
        assert server.seen[1].path.startswith(f"{proxy}/upload/storage/v1/b/")


@pytest.mark.parametrize("form", ["{url}", "{url}/", "{host}", "{url}/storage/v1/"])
def test_an_emulator_of_the_environment_gets_no_credentials(form, monkeypatch, tmp_path):
    (tmp_path / "login.json").write_text(json.dumps(USER))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "login.json"))
    with scripted_server(resource("run/key")) as server:
        emulator = form.format(url=server.url, host=server.url.removeprefix("http://"))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
        with open_location("gs://bucket/run") as location:
            assert location.store.stat("run/key").size == 4
        assert server.seen[0].path == "/storage/v1/b/bucket/o/run/key"
        assert "authorization" not in server.seen[0].headers


def test_a_token_of_the_user_goes_to_the_emulator():
    with scripted_server(resource("run/key")) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with open_location("gs://bucket/run", {"token": Credentials("ya29.mine")}) as location:
            location.store.stat("run/key")
        assert tokens(server) == ["ya29.mine"]


def test_an_endpoint_that_is_none():
    with (
        scripted_server() as server,
        gcs_store(server, endpoint_url="127.0.0.1:4443") as store,
        pytest.raises(StorageError, match="must be a URL such as https://"),
    ):
        store.stat("key")


def test_an_emulator_that_knows_itself_by_another_address():
    """As one in a container does: its sessions are where it is reached from here."""
    with scripted_server(Answer(headers={"Location": "https://0.0.0.0:4443/up?id=1"}), Answer(204)) as server:
        with gcs_store(server, part_size=PART) as store:
            store.create("key", PART + 1, Always()).abort()
        assert server.seen[1].target == "/up?id=1"


def test_googles_own_sessions_are_where_they_say():
    filesystem = type("Filesystem", (), {"base": "https://storage.googleapis.com/storage/v1/"})()
    session = "https://www.googleapis.com/upload/storage/v1/b/bucket/o?upload_id=1"
    assert GCSAccess(filesystem).session(session) == session


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 60.0),
        ({"requests_timeout": 7}, 7.0),
        ({"requests_timeout": aiohttp.ClientTimeout(total=9)}, 9.0),
        ({"requests_timeout": aiohttp.ClientTimeout(total=9, sock_read=3)}, 3.0),
        ({"session_kwargs": {"timeout": aiohttp.ClientTimeout(sock_read=5)}}, 5.0),
    ],
)
def test_the_time_limits_of_gcsfs(options, seconds):
    with scripted_server() as server, gcs_store(server, **options) as store:
        assert store._client._access.read_timeout() == seconds


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fsspec has a thread: that is the test
def test_a_forked_child_reads_with_the_store_of_its_parent(fake_gcs):
    with open_location(fake_gcs.fresh_url(), fake_gcs.storage_options) as location:
        key = location.child("key").key
        written = put(location.store, key, b"data")
        child = os.fork()
        if child == 0:
            try:
                data, info = location.store.get(key)
                os._exit(0 if (data, info.version) == (b"data", written.version) else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert location.store.stat(key).version == written.version


def test_the_store_is_made_with_the_users_part_size(fake_gcs):
    with open_location(fake_gcs.fresh_url(), {**fake_gcs.storage_options, "part_size": PART}) as location:
        assert isinstance(location.store._store, GCSStore)
        with location.store.create(location.key, PART + 1, Always()) as upload:
            assert upload.part_size == PART
