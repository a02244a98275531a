"""A real server behind TLS: with an authority of one's own, and with keys of one's own for encryption (SSE-C)."""

from __future__ import annotations

import dataclasses
import urllib.request

import numpy as np
import pytest
from crc32c import crc32c

import cloudckpt
from cloudckpt.errors import StorageError
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always, IfAbsent
from tests.servers import ACCESS_KEY, SECRET_KEY, ServerProcess, find_binary, free_port, make_s3_bucket
from tests.storage.authority import Authority
from tests.storage.test_s3_upload import DATA, PART

KEY, OTHER_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 2
TREE = {"w": np.frombuffer(DATA, np.uint8)}


@pytest.fixture(scope="module")
def minio_with_tls(tmp_path_factory):
    """MinIO with a certificate that only who is told trusts; not a server that runs already."""
    folder = tmp_path_factory.mktemp("minio-with-tls")
    authority = Authority(folder)
    authority.certificate()
    port = free_port()
    command = [find_binary("minio"), "server", "--quiet", "--certs-dir", str(folder)]
    command += ["--address", f"127.0.0.1:{port}", str(folder / "data")]
    environ = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.path))  # for urllib, which waits for the server
        patch.setattr(urllib.request, "_opener", None)  # it may have read whom to trust before
        patch.setenv("AWS_CA_BUNDLE", str(authority.path))  # for botocore, which makes the bucket
        with ServerProcess(command, folder, f"https://127.0.0.1:{port}", "/minio/health/live", environ) as process:
            server = make_s3_bucket("minio", process.endpoint)
            patch.undo()
            options = {**server.storage_options, "part_size": PART}
            options["client_kwargs"] = {**options["client_kwargs"], "verify": str(authority.path)}
            yield dataclasses.replace(server, storage_options=options)


def with_key(server, key):
    return {**server.storage_options, "s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}}


def test_save_and_load(minio_with_tls):
    url = f"{minio_with_tls.fresh_url()}/ckpt-1"
    cloudckpt.save(url, TREE, storage_options=minio_with_tls.storage_options)
    assert np.array_equal(cloudckpt.load(url, storage_options=minio_with_tls.storage_options)["w"], TREE["w"])


def test_save_and_load_with_a_key_of_ones_own(minio_with_tls):
    url, mine = f"{minio_with_tls.fresh_url()}/ckpt-1", with_key(minio_with_tls, KEY)
    cloudckpt.save(url, TREE, storage_options=mine)
    cloudckpt.save(url, TREE, storage_options=mine)
    assert np.array_equal(cloudckpt.load(url, storage_options=mine)["w"], TREE["w"])
    for options in (minio_with_tls.storage_options, with_key(minio_with_tls, OTHER_KEY)):
        with pytest.raises(StorageError) as failure:
            cloudckpt.load(url, storage_options=options)
        assert KEY not in str(failure.value)


@pytest.mark.parametrize("condition", [Always(), IfAbsent()])
def test_a_copy_has_the_key_of_its_source(minio_with_tls, condition):
    with open_location(minio_with_tls.fresh_url(), with_key(minio_with_tls, KEY)) as location:
        store, source, key = location.store, location.child("source").key, location.child("copy").key
        info = store.put(source, b"some bytes", Always(), crc32c=crc32c(b"some bytes"))
        store.copy(info, key, condition)
        assert store.get(key)[0] == b"some bytes"
