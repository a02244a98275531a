"""S3's XML documents, read and written: https://docs.aws.amazon.com/AmazonS3/latest/API/ ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing."""

    objects: list[ObjectInfo]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class BegunUpload:
    """A multipart upload as a listing shows it."""

    key: str
    upload_id: str
    began: float
    """seconds since the epoch"""


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """One page of a listing of uploads."""

    uploads: list[BegunUpload]
    next_marker: dict[str, str] | None
    """the parameters that ask for the next page"""


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """One part as CompleteMultipartUpload names it."""

    etag: str
    checksum: str
    """Its CRC-32C, as headers have it; empty where the upload keeps none."""


def parse(document: bytes) -> ET.Element:
    """Read a document.

    Raises:
        ValueError: it is no XML, or declares entities, which no S3 server does.
    """
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise ValueError("it declares a document type")
    try:
        return ET.fromstring(document)  # noqa: S314 - no entities (above), and its size is limited where it is received
    except ET.ParseError as error:
        raise ValueError(str(error)) from error


def text(element: ET.Element, name: str) -> str:
    """The text of a child, whatever its namespace; empty without one."""
    return element.findtext(f"{{*}}{name}") or ""


def parse_error(document: bytes) -> tuple[str, str]:
    """The code and the message of an error document; empty where the body is something else."""
    try:
        root = parse(document)
    except ValueError:
        return "", ""
    return (text(root, "Code"), text(root, "Message")) if is_error(root) else ("", "")


def bucket_region(document: bytes) -> str | None:
    """The region that an error document names as the right one."""
    try:
        return text(parse(document), "Region") or None
    except ValueError:
        return None


def is_error(root: ET.Element) -> bool:
    """Whether a document tells of an error: CompleteMultipartUpload may say so after a status of 200."""
    return _name(root) == "Error"


def _name(element: ET.Element) -> str:
    """The element's name, whatever its namespace."""
    return element.tag.rpartition("}")[2]


def parse_list(document: bytes) -> ListPage:
    """Read a ListObjectsV2 answer that was asked for with encoding-type=url.

    Raises:
        ValueError: it is not one, or leads nowhere.
    """
    root = parse(document)
    if _name(root) != "ListBucketResult":
        raise ValueError(f"it is {_name(root)!r}, not a listing")
    decode = unquote_plus if text(root, "EncodingType") == "url" else str
    objects = [
        ObjectInfo(
            key=decode(text(entry, "Key")),
            size=int(text(entry, "Size")),
            version=text(entry, "ETag").strip('"'),
            modified=_whole_seconds(text(entry, "LastModified")),
        )
        for entry in root.iterfind("{*}Contents")
    ]
    next_token = text(root, "NextContinuationToken") or None
    if text(root, "IsTruncated") != "true":
        next_token = None
    elif next_token is None:
        # An older server took it for a ListObjects of version 1; a listing that ends early must not look whole.
        raise ValueError("there is more, and it does not say where it goes on")
    return ListPage(objects, next_token)


def parse_uploads(document: bytes) -> UploadsPage:
    """Read a ListMultipartUploads answer that was asked for with encoding-type=url.

    Raises:
        ValueError: it is not one, or leads nowhere.
    """
    root = parse(document)
    if _name(root) != "ListMultipartUploadsResult":
        raise ValueError(f"it is {_name(root)!r}, not a listing of uploads")
    decode = unquote_plus if text(root, "EncodingType") == "url" else str
    uploads = [
        BegunUpload(decode(text(entry, "Key")), text(entry, "UploadId"), _whole_seconds(text(entry, "Initiated")))
        for entry in root.iterfind("{*}Upload")
    ]
    if text(root, "IsTruncated") != "true":
        return UploadsPage(uploads, None)
    marker = {"key-marker": decode(text(root, "NextKeyMarker")), "upload-id-marker": text(root, "NextUploadIdMarker")}
    if not marker["key-marker"]:
        raise ValueError("there is more, and it does not say where it goes on")
    return UploadsPage(uploads, marker)


def parse_delete(document: bytes) -> dict[str, tuple[str, str]]:
    """Read a DeleteObjects answer: the code and the message for each key that was not deleted.

    Raises:
        ValueError: it is not one.
    """
    if not document.strip():
        return {}
    root = parse(document)
    if is_error(root):
        raise ValueError(f"it tells of {text(root, 'Code')} and of no key")
    return {text(entry, "Key"): (text(entry, "Code"), text(entry, "Message")) for entry in root.iterfind("{*}Error")}


def delete_document(keys: Iterable[str]) -> bytes:
    """The body of DeleteObjects, which answers about failures only."""
    root = ET.Element("Delete", xmlns=_NAMESPACE)
    for key in keys:
        ET.SubElement(ET.SubElement(root, "Object"), "Key").text = key
    ET.SubElement(root, "Quiet").text = "true"
    return bytes(ET.tostring(root, encoding="utf-8"))


def complete_document(parts: Mapping[int, UploadedPart]) -> bytes:
    """The body of CompleteMultipartUpload, its parts in order."""
    root = ET.Element("CompleteMultipartUpload", xmlns=_NAMESPACE)
    for number in sorted(parts):
        part = ET.SubElement(root, "Part")
        ET.SubElement(part, "PartNumber").text = str(number)
        ET.SubElement(part, "ETag").text = parts[number].etag
        if parts[number].checksum:
            ET.SubElement(part, "ChecksumCRC32C").text = parts[number].checksum
    return bytes(ET.tostring(root, encoding="utf-8"))


def _whole_seconds(value: str) -> float:
    """Some servers list milliseconds, but no answer about one object has them: a time shall be the same everywhere."""
    return float(int(datetime.fromisoformat(value).timestamp()))
