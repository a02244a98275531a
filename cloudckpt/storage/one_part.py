"""A small object written as an upload of one part, where a store has no shorter way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.storage.buffers import flat_view

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudckpt.storage.store import ObjectInfo, Store, WriteCondition


def put_in_one_part(
    store: Store, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None
) -> ObjectInfo:
    """`Store.put` by the store's own `create`."""
    view = flat_view(data)
    with store.create(key, view.nbytes, condition, commit_id=commit_id) as upload:
        upload.write(0, [view], crc32c)
        return upload.complete(crc32c)
