"""What s3fs's options come to: addresses, regions, signatures, credentials."""

from __future__ import annotations

import fsspec
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from cloudckpt.errors import PermissionDeniedError, StorageError, TransientStorageError
from cloudckpt.storage.s3 import access as s3_access
from cloudckpt.storage.s3 import credentials as s3_credentials
from cloudckpt.storage.s3.access import region_of, resolve
from cloudckpt.storage.s3.credentials import Credentials, access_error

EU = {"client_kwargs": {"region_name": "eu-west-1"}}


def resolved(bucket="bucket", **options):
    filesystem = fsspec.filesystem("s3", skip_instance_cache=True, **({"key": "access", "secret": "secret"} | options))
    return resolve(bucket, filesystem, f"s3://{bucket}/")


@pytest.mark.parametrize(
    ("bucket", "options", "base", "region"),
    [
        ("bucket", {}, "https://bucket.s3.amazonaws.com", "us-east-1"),
        ("bucket", EU, "https://bucket.s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("dotted.bucket", EU, "https://s3.eu-west-1.amazonaws.com/dotted.bucket", "eu-west-1"),
        ("bucket", {"endpoint_url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/bucket", "us-east-1"),
        ("bucket", {"use_ssl": False}, "http://bucket.s3.amazonaws.com", "us-east-1"),
        (
            "bucket",
            {"endpoint_url": "https://s3.example.com", "config_kwargs": {"s3": {"addressing_style": "virtual"}}},
            "https://bucket.s3.example.com",
            "us-east-1",
        ),
        (
            "bucket",
            {**EU, "config_kwargs": {"s3": {"use_dualstack_endpoint": True}}},
            "https://bucket.s3.dualstack.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        (
            "bucket",
            {**EU, "config_kwargs": {"s3": {"use_accelerate_endpoint": True}}},
            "https://bucket.s3-accelerate.amazonaws.com",
            "eu-west-1",
        ),
        (
            "bucket",
            {**EU, "config_kwargs": {"s3": {"addressing_style": "path"}}},
            "https://s3.eu-west-1.amazonaws.com/bucket",
            "eu-west-1",
        ),
        ("bucket", {"anon": True}, "https://bucket.s3.amazonaws.com", "us-east-1"),
    ],
)
def test_where_a_bucket_is(bucket, options, base, region):
    access = resolved(bucket, **options)
    assert (access.base, access.region) == (base, region)


def test_the_environment_counts(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:7")
    access = resolved(key=None, secret=None)
    assert (access.base, access.region) == ("http://127.0.0.1:7/bucket", "ap-south-1")
    assert access.credentials.current().access_key == "from-environment"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://bucket.s3.amazonaws.com", "https://bucket.s3.eu-west-3.amazonaws.com"),
        ("https://bucket.s3.us-west-2.amazonaws.com", "https://bucket.s3.eu-west-3.amazonaws.com"),
        ("https://s3.us-west-2.amazonaws.com/dotted.bucket", "https://s3.eu-west-3.amazonaws.com/dotted.bucket"),
        ("https://s3-us-west-2.amazonaws.com/bucket", "https://s3.eu-west-3.amazonaws.com/bucket"),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn", "https://bucket.s3.eu-west-3.amazonaws.com.cn"),
        (
            "https://bucket.s3.dualstack.us-west-2.amazonaws.com",
            "https://bucket.s3.dualstack.eu-west-3.amazonaws.com",
        ),
        ("https://bucket.s3-accelerate.amazonaws.com", "https://bucket.s3-accelerate.amazonaws.com"),
        ("http://127.0.0.1:9000/bucket", "http://127.0.0.1:9000/bucket"),
        ("https://s3.example.com/s3.amazonaws.com", "https://s3.example.com/s3.amazonaws.com"),
    ],
)
def test_the_same_bucket_in_another_region(before, after):
    access = s3_access.replace(resolved(), base=before).in_region("eu-west-3")
    assert (access.base, access.region) == (after, "eu-west-3")


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://bucket.s3-us-west-2.amazonaws.com/key?x=1", "us-west-2"),
        ("https://bucket.s3.eu-west-3.amazonaws.com/key", "eu-west-3"),
        ("https://s3.dualstack.eu-west-3.amazonaws.com/bucket/key", "eu-west-3"),
        ("https://bucket.s3.amazonaws.com/key", None),
        ("https://bucket.s3-accelerate.amazonaws.com/key", None),
        ("https://evil.example.com/s3.eu-west-3.amazonaws.com", None),
        ("https://s3.eu-west-3.amazonaws.com@evil.example.com/", None),
        ("/key", None),
        ("", None),
    ],
)
def test_what_region_an_address_tells(url, region):
    assert region_of(url) == region


@pytest.mark.parametrize(
    ("base", "amazon"),
    [
        ("https://bucket.s3.amazonaws.com", True),
        ("https://bucket.s3.dualstack.eu-west-1.amazonaws.com", True),
        ("https://s3.eu-west-1.amazonaws.com/dotted.bucket", True),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn", True),
        ("https://s3.amazonaws.com.example.com/bucket", False),
        ("https://example.com/s3.amazonaws.com", False),
        ("https://fakes3.amazonaws.com/bucket", False),
        ("https://bucket.outpost.s3-outposts.eu-west-1.amazonaws.com", False),
        ("http://127.0.0.1:9000/bucket", False),
    ],
)
def test_only_amazons_own_servers_are_taken_at_their_word(base, amazon):
    assert s3_access.replace(resolved(), base=base).is_amazon is amazon


def test_secrets_stay_out_of_reprs():
    assert "secret" not in repr(resolved())


def test_keys_and_parameters_are_encoded_as_they_are_signed():
    access = resolved(endpoint_url="http://127.0.0.1:9000")
    url = access.url("a b/ü+%~/c", {"prefix": "p /&", "delete": ""})
    assert url == "http://127.0.0.1:9000/bucket/a%20b/%C3%BC%2B%25~/c?prefix=p%20%2F%26&delete="


def test_credentials_are_asked_for_again_in_time(monkeypatch):
    class Source:
        asked = 0

        async def get_frozen_credentials(self):
            self.asked += 1
            return f"credentials {self.asked}"

    now = 1000.0
    monkeypatch.setattr(s3_credentials.time, "monotonic", lambda: now)
    credentials = Credentials(None, Source(), "s3://bucket/")
    assert credentials.current() == credentials.current() == "credentials 1"
    now += 61
    assert credentials.current() == "credentials 2"


def test_credentials_that_can_not_be_renewed():
    class Source:
        async def get_frozen_credentials(self):
            raise CredentialRetrievalError(provider="sso", error_msg="expired")

    with pytest.raises(PermissionDeniedError, match=r"s3://bucket/: .*expired"):
        Credentials(None, Source(), "s3://bucket/").current()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), PermissionDeniedError),
        (ProfileNotFound(profile="mine"), PermissionDeniedError),
        (CredentialRetrievalError(provider="sso", error_msg="expired"), PermissionDeniedError),
        (ConnectTimeoutError(endpoint_url="http://169.254.169.254"), TransientStorageError),
        (NoRegionError(), StorageError),
        (RuntimeError("the refreshed credentials are still expired"), PermissionDeniedError),
    ],
)
def test_botocores_errors_become_ours(error, kind):
    found = access_error("s3://bucket/", error)
    assert type(found) is kind
    assert "s3://bucket/" in str(found)


def test_a_profile_that_is_not_there():
    with pytest.raises(PermissionDeniedError, match="nobody"):
        resolved(key=None, secret=None, profile="nobody")


def test_an_endpoint_that_is_none():
    with pytest.raises(StorageError, match="check storage_options"):
        resolved(endpoint_url="127.0.0.1:9000")
