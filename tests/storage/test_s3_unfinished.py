"""Listing multipart uploads page by page, from servers that search by prefix and those that don't."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import ObjectNotFoundError, StorageError
from cloudckpt.storage.s3.unfinished import list_uploads

if TYPE_CHECKING:
    from collections.abc import Sequence


def page(*keys: str, marker: str = "", encoding: str = "") -> str:
    uploads = "".join(
        f"<Upload><Key>{key}</Key><UploadId>id-{key}</UploadId><Initiated>2025-06-15T12:00:00.000Z</Initiated></Upload>"
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated>{marker}" if marker else "<IsTruncated>false</IsTruncated>"
    return f"<ListMultipartUploadsResult xmlns='http://s3'>{encoding}{more}{uploads}</ListMultipartUploadsResult>"


def marker(key: str, upload: str = "u") -> str:
    return f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{upload}</NextUploadIdMarker>"


class Client:
    """Answers with those bodies in turn, and keeps the questions."""

    def __init__(self, bodies: Sequence[str], *, is_amazon: bool = False, fails: bool = False) -> None:
        self.bodies, self.fails = list(bodies), fails
        self.access = SimpleNamespace(is_amazon=is_amazon)
        self.asked: list[dict[str, Any]] = []

    def url(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def request(self, method: str, key: str = "", query: Any = None, **_: Any) -> Any:
        self.asked.append({"method": method, "key": key, **query})
        if method == "DELETE":
            if self.fails:
                raise ObjectNotFoundError("it was completed")
            return None
        return SimpleNamespace(body=self.bodies.pop(0).encode())


def keys(client: Client, prefix: str) -> list[str]:
    return [upload.key for upload in list_uploads(client, prefix)]  # type: ignore[arg-type]  # all that it needs


def test_amazon_is_asked_for_the_prefix() -> None:
    client = Client([page("run/ckpt-1.index")], is_amazon=True)
    assert keys(client, "run/") == ["run/ckpt-1.index"]
    assert client.asked == [
        {"method": "GET", "key": "", "uploads": "", "encoding-type": "url", "prefix": "run/", "delimiter": "/"}
    ]


def test_others_are_asked_for_the_bucket() -> None:
    client = Client([page("a", "run/ckpt-1.index", "run/below/x", "run2/x")])
    assert keys(client, "run/") == ["run/ckpt-1.index"]
    assert client.asked == [{"method": "GET", "key": "", "uploads": "", "encoding-type": "url"}]


def test_all_pages_are_asked_for() -> None:
    encoding = "<EncodingType>url</EncodingType>"
    client = Client(
        [page("a%2Fb", marker=marker("a%2Fb", "u1"), encoding=encoding), page("a%2Fc+d", encoding=encoding)]
    )
    assert keys(client, "a/") == ["a/b", "a/c d"]
    assert client.asked[1] == {
        "method": "GET",
        "key": "",
        "uploads": "",
        "encoding-type": "url",
        "key-marker": "a/b",
        "upload-id-marker": "u1",
    }


@pytest.mark.parametrize(
    "body", ["", "<ListBucketResult/>", page("a", marker=marker("")), page("a").replace("2025-06-15", "yesterday")]
)
def test_an_answer_that_is_no_listing(body: str) -> None:
    with pytest.raises(StorageError, match="can't be read"):
        keys(Client([body]), "")


@pytest.mark.parametrize("fails", [False, True])
def test_an_upload_is_aborted_by_its_id(fails: bool) -> None:
    client = Client([page("run/x")], fails=fails)
    [upload] = list_uploads(client, "run/")  # type: ignore[arg-type]  # all that it needs
    upload.discard()
    assert (upload.began, upload.size) == (1749988800.0, None)
    assert client.asked[-1] == {"method": "DELETE", "key": "run/x", "uploadId": "id-run/x"}
