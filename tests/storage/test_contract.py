"""The contract of the stores, over every store and every server that there is."""

from __future__ import annotations

import uuid

import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from cloudckpt.errors import ObjectNotFoundError
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always, IfAbsent
from cloudckpt.testing import StoreContract
from cloudckpt.testing.contract_fixtures import put


class TestLocal(StoreContract):
    keeps_commit_ids = False
    leaves_uploads = True

    @pytest.fixture(params=[True, False], ids=["fsync", "no fsync"])
    def location(self, request, tmp_path):
        with Location(LocalStore(fsync=request.param), str(tmp_path)) as location:
            yield location


class TestMemory(StoreContract):
    @pytest.fixture
    def location(self):
        with open_location(f"memory://{uuid.uuid4().hex}/run") as location:
            yield location


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
class TestFilesystem(StoreContract):
    """A filesystem without conditions; its paths are relative, its moves are renames."""

    keeps_commit_ids = False
    leaves_uploads = True

    @pytest.fixture
    def location(self, tmp_path):
        filesystem = DirFileSystem(path=str(tmp_path), fs=LocalFileSystem())
        with Location(FilesystemStore(filesystem), "run") as location:
            yield location


class BucketContract(StoreContract):
    """What the servers' suites share: a fresh prefix for each test."""

    has_buckets = True
    options = {"part_size": 5 << 20}  # noqa: RUF012 - the emulators are slow, and keep every byte in memory

    @pytest.fixture
    def location(self, server):
        with open_location(server.fresh_url(), server.storage_options | self.options) as location:
            yield location

    @pytest.fixture
    def missing_location(self, server):
        url = f"{server.scheme}://no-such-bucket-{uuid.uuid4().hex[:8]}/run"
        with open_location(url, server.storage_options) as location:
            yield location

    def test_a_bucket_that_is_missing_is_named(self, missing_location):
        bucket = missing_location.url.removesuffix("run")
        with pytest.raises(ObjectNotFoundError, match=f"^{bucket}: there is no such bucket; check its name"):
            list(missing_location.store.list("run/ckpt-1."))

    def test_folders_of_a_console_are_no_objects(self, store, location):
        for key in (f"{location.key}/", location.child("below/").key, location.child("object").key):
            put(store, key, b"")
        for recursive in (False, True):
            listed = store.list(f"{location.key}/", recursive=recursive)
            assert [info.key for info in listed] == [location.child("object").key]


class S3Contract(BucketContract):
    leaves_uploads = True
    versions_are_digests = True  # an ETag is


class TestMinIO(S3Contract):
    @pytest.fixture
    def server(self, minio):
        return minio


class TestMoto(S3Contract):
    options = S3Contract.options | {"max_retry_seconds": 5}  # it answers 500, for ever, where an upload is gone
    takes_any_checksum = pytest.mark.xfail(reason="moto takes any checksum: it never compares it with the bytes")
    completes_anyhow = pytest.mark.xfail(reason="moto ignores If-Match when a multipart upload completes")

    copies_another = pytest.mark.xfail(reason="moto ignores x-amz-copy-source-if-match")

    @pytest.fixture
    def server(self, moto_s3):
        return moto_s3

    @pytest.mark.xfail(reason="moto says of every upload that it began in 2010")
    def test_it_began_by_the_store_s_clock(self, store, location):
        super().test_it_began_by_the_store_s_clock(store, location)

    @pytest.mark.parametrize("condition", [pytest.param(Always(), marks=copies_another), IfAbsent()])
    def test_another_version_is_not_copied(self, store, source, key, condition):
        super().test_another_version_is_not_copied(store, source, key, condition)

    @completes_anyhow
    def test_a_copy_if_version_replaces_that_version_only(self, store, source, key):
        super().test_a_copy_if_version_replaces_that_version_only(store, source, key)

    @takes_any_checksum
    def test_a_wrong_checksum_is_found_where_that_is_claimed(self, store, key):
        super().test_a_wrong_checksum_is_found_where_that_is_claimed(store, key)

    @takes_any_checksum
    @pytest.mark.parametrize("large", [False, True])
    def test_a_corrupted_part_is_found_where_that_is_claimed(self, store, key, large):
        super().test_a_corrupted_part_is_found_where_that_is_claimed(store, key, large)

    @pytest.mark.parametrize("large", [False, pytest.param(True, marks=completes_anyhow)])
    def test_if_version_holds_when_it_completes(self, store, key, large):
        super().test_if_version_holds_when_it_completes(store, key, large)


class TestFakeGCS(BucketContract):
    copies_anyhow = pytest.mark.xfail(reason="fake-gcs-server ignores ifGenerationMatch when it rewrites")
    deletes_anyhow = "fake-gcs-server ignores ifGenerationMatch when it deletes"

    @pytest.fixture
    def server(self, fake_gcs):
        return fake_gcs

    @pytest.mark.xfail(reason=deletes_anyhow)
    def test_no_other_version(self, store, key):
        super().test_no_other_version(store, key)

    @pytest.mark.xfail(reason=deletes_anyhow, strict=False)  # a race: the deletions may all come first
    def test_a_version_is_replaced_or_deleted_not_both(self, store, key):
        super().test_a_version_is_replaced_or_deleted_not_both(store, key)

    @copies_anyhow
    def test_a_copy_if_absent_never_replaces(self, store, source, key):
        super().test_a_copy_if_absent_never_replaces(store, source, key)

    @copies_anyhow
    def test_a_copy_if_absent_is_made_once(self, store, source, key):
        super().test_a_copy_if_absent_is_made_once(store, source, key)

    @copies_anyhow
    def test_a_copy_if_version_replaces_that_version_only(self, store, source, key):
        super().test_a_copy_if_version_replaces_that_version_only(store, source, key)

    @copies_anyhow
    def test_one_of_many_copies_creates(self, store, source, location):
        super().test_one_of_many_copies_creates(store, source, location)
