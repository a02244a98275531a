"""What Azure says of an object, as a record of ours; and our conditions and ids, as it takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.storage.blob import BlobPrefix

from cloudckpt.storage.store import Always, IfAbsent, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.storage.store import WriteCondition

_COMMIT_ID = "cloudckpt_commit"
"""The names of metadata must be identifiers here."""
_FOLDER_MARKS = ("hdi_isfolder", "is_directory")


def parse_properties(key: str, properties: Any, size: int | None = None) -> ObjectInfo:
    """An object from Microsoft's `BlobProperties`; those of a download have the size of its range."""
    return ObjectInfo(
        key=key,
        size=properties.size if size is None else size,
        version=_version(properties.etag),
        modified=float(int(properties.last_modified.timestamp())),
        commit_id=(properties.metadata or {}).get(_COMMIT_ID),
    )


def parse_answer(key: str, size: int, answer: Mapping[str, Any], metadata: Mapping[str, str]) -> ObjectInfo:
    """An object from the answer to the request that wrote it."""
    modified = float(int(answer["last_modified"].timestamp()))
    return ObjectInfo(key, size, _version(answer["etag"]), modified, metadata.get(_COMMIT_ID))


def is_folder(found: Any) -> bool:
    """Whether an entry of a listing, or what has the key, is no object but a folder: several tools mark theirs."""
    metadata = getattr(found, "metadata", None) or {}
    marked = any(name.lower() in _FOLDER_MARKS and value == "true" for name, value in metadata.items())
    return isinstance(found, BlobPrefix) or found.name.endswith("/") or marked


def metadata_of(commit_id: str | None) -> dict[str, str]:
    """What is kept beside an object."""
    return {} if commit_id is None else {_COMMIT_ID: commit_id}


def conditions_of(condition: WriteCondition) -> dict[str, Any]:
    """A condition as Microsoft's client takes it."""
    if isinstance(condition, Always):
        return {}
    if isinstance(condition, IfAbsent):
        return {"match_condition": MatchConditions.IfMissing}
    return only_version(condition.version)


def only_version(version: str) -> dict[str, Any]:
    """The condition that an object is still that version."""
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}


def _version(etag: str) -> str:
    """Listings give ETags without quotes, answers with them."""
    return etag.strip('"')
