"""Requests that are sent again otherwise: to another region, by the server's clock, with fresh credentials."""

from __future__ import annotations

import datetime as dt
import time
from email.utils import format_datetime

import pytest

from cloudckpt.errors import PermissionDeniedError, StorageError, TransientStorageError
from cloudckpt.storage.s3 import credentials as s3_credentials
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import SECRET, error_document, failing, put, s3_store


def hours_from_now(hours):
    return format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours), usegmt=True)


def hours_signed(seen):
    """How far from now a request was signed."""
    signed = dt.datetime.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    return round((signed.timestamp() - time.time()) / 3600, 1)


def signed_by(seen):
    return seen.headers["authorization"].partition("Credential=")[2].partition("/")[0]


def region(seen):
    return seen.headers["authorization"].split("/")[2]


def test_a_temporary_redirect_of_amazon_names_a_region():
    there = {"Location": "https://bucket.s3-eu-west-3.amazonaws.com/key"}
    with scripted_server(Answer(307, headers=there), Answer()) as server, s3_store(server) as store:
        put(store, "key", b"the body goes again")
        assert [region(seen) for seen in server.seen] == ["us-east-1", "eu-west-3"]
        assert [seen.body for seen in server.seen] == [b"the body goes again"] * 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_goes_to_another_host(status):
    with scripted_server() as stranger:
        location = {"Location": f"{stranger.url}/key?token=of-the-server"}
        with scripted_server(Answer(status, headers=location)) as server, s3_store(server) as store:
            with pytest.raises(StorageError, match=r"it sends us to 127\.0\.0\.1") as failure:
                put(store, "key")
            assert not isinstance(failure.value, TransientStorageError)
            assert "of-the-server" not in str(failure.value)
        assert stranger.connections == 0


def test_a_wrong_region_a_wrong_clock_and_old_credentials_at_once(rotated):
    answers = [
        Answer(400, error_document("AuthorizationHeaderMalformed", Region="eu-west-3")),
        failing(403, "RequestTimeTooSkewed", Date=hours_from_now(2)),
        rotated,
        Answer(),
        Answer(),
    ]
    with scripted_server(*answers) as server, s3_store(server, key=None, secret=None) as store:
        put(store, "key")
        put(store, "key")
    assert [region(seen) for seen in server.seen] == ["us-east-1", *["eu-west-3"] * 4]
    assert [hours_signed(seen) for seen in server.seen] == [0, 0, 2, 2, 2]
    assert [signed_by(seen) for seen in server.seen] == ["old", "old", "old", "new", "new"]


@pytest.mark.parametrize("hours", [-3, 2])
@pytest.mark.parametrize("method", ["PUT", "HEAD"])
def test_a_wrong_clock_is_corrected_by_the_servers(hours, method, caplog):
    refusal = failing(403, "RequestTimeTooSkewed", Date=hours_from_now(hours))
    with scripted_server(refusal, Answer(), Answer()) as server, s3_store(server) as store:
        (put if method == "PUT" else type(store).stat)(store, "key")
        store.stat("key")
        assert [hours_signed(seen) for seen in server.seen] == [0, hours, hours]
    assert len(caplog.records) == 1
    assert ("behind" if hours > 0 else "ahead of") in caplog.text


def test_a_clock_that_was_right_is_not_touched():
    refusal = failing(403, "RequestTimeTooSkewed", Date=hours_from_now(0))
    with scripted_server(refusal) as server, s3_store(server) as store:
        with pytest.raises(PermissionDeniedError, match="RequestTimeTooSkewed"):
            put(store, "key")
        assert len(server.seen) == 1


def test_a_server_whose_clock_jumps_is_followed_once_a_request():
    refusals = [failing(403, "RequestTimeTooSkewed", Date=hours_from_now(hours)) for hours in (2, 5)]
    with scripted_server(*refusals) as server, s3_store(server) as store, pytest.raises(PermissionDeniedError):
        put(store, "key")


@pytest.fixture
def credentials_file(tmp_path, monkeypatch):
    path = tmp_path / "credentials"

    def write(key, token=""):
        extra = f"aws_session_token = {token}\n" if token else ""
        path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n{extra}")

    write("old")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return write


@pytest.fixture
def rotated(credentials_file):
    """An answer that is given after the credentials have been replaced."""

    class Rotation(Answer):
        def encoded(self):
            credentials_file("new")
            return super().encoded()

    return Rotation(403, error_document("InvalidAccessKeyId"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ExpiredToken"),
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (400, "TokenRefreshRequired"),
        (403, "InvalidToken"),
    ],
)
def test_credentials_that_were_replaced_are_found(credentials_file, status, code):
    with scripted_server(by=lambda seen: Answer() if signed_by(seen) == "new" else failing(status, code)) as server:
        with s3_store(server, key=None, secret=None) as store:
            with pytest.raises(PermissionDeniedError):
                put(store, "key")
            credentials_file("new")
            store._client.access.credentials._renewed_in_vain = -1e9
            put(store, "key")
            store.stat("key")
        assert [signed_by(seen) for seen in server.seen] == ["old", "old", "new", "new"]


def test_a_new_token_of_the_same_key_counts(credentials_file):
    credentials_file("key", "first")

    def judge(seen):
        if seen.headers["x-amz-security-token"] == "second":
            return Answer()
        credentials_file("key", "second")
        return failing(400, "ExpiredToken")

    with scripted_server(by=judge) as server, s3_store(server, key=None, secret=None) as store:
        put(store, "key")
        assert len(server.seen) == 2


def test_a_head_has_no_code_and_is_helped_all_the_same(rotated):
    with scripted_server(rotated, Answer()) as server, s3_store(server, key=None, secret=None) as store:
        store.stat("key")
        assert [signed_by(seen) for seen in server.seen] == ["old", "new"]


def test_the_same_credentials_are_not_sent_twice(monkeypatch):
    asked = []
    looked_up = s3_credentials._looked_up

    async def counted(filesystem):
        asked.append(filesystem)
        return await looked_up(filesystem)

    monkeypatch.setattr(s3_credentials, "_looked_up", counted)
    with scripted_server(*[failing(400, "ExpiredToken")] * 3) as server, s3_store(server) as store:
        for _ in range(3):
            with pytest.raises(PermissionDeniedError, match="check the credentials"):
                put(store, "key")
    assert len(asked) == 1


def test_new_credentials_that_are_refused_too_are_the_end(rotated):
    with (
        scripted_server(rotated, failing(403, "InvalidAccessKeyId")) as server,
        s3_store(server, key=None, secret=None) as store,
        pytest.raises(PermissionDeniedError),
    ):
        put(store, "key")


def test_a_denial_is_the_end_at_once(rotated):
    denied, said = failing(403, "AccessDenied"), "what they may do with this bucket"
    with (
        scripted_server(denied) as server,
        s3_store(server, key=None, secret=None) as store,
        pytest.raises(PermissionDeniedError, match=said),
    ):
        put(store, "key")
