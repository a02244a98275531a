"""Writes the first inputs of every target, from what this library writes: `python -m fuzz.seeds`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import text_format

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.strings import LengthsEncoder
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.bundle.v1_header import V1Tensor, encode_header
from cloudckpt.bundle.v1_record import encode_record
from cloudckpt.checksums import crc32c
from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.attr_values import set_attr
from cloudckpt.state.state_file import CheckpointState, encode_state
from cloudckpt.variables.dtypes import DataType
from fuzz.checkpoints import COMPRESS, MEND, SHARDS, SMALL_READS
from fuzz.chunks import join_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["CORPUS", "seeds"]

CORPUS = Path(__file__).parent / "corpus"

WHOLE: TensorSlice = ((0, None),)
ROWS: tuple[TensorSlice, TensorSlice] = (((0, 1), (0, None)), ((1, 1), (0, None)))
NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
STRINGS = [b"a", b"", b"three"]


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Target, name and bytes of each."""
    rows, data = bundle()
    index = encode_table(sorted(rows.items()))
    yield "table", "index", index
    yield "table", "compressed", encode_table([(b"k%03d" % number, b"v" * 20) for number in range(40)], compress=True)
    yield "blocks", "index", join_chunks([b"\0", b"z", index[: index.index(b"\0\0\0\0\x01\0\0\0") + 8]])
    yield "index", "bundle", join_chunks(flat(rows))
    for number, options in enumerate((0, COMPRESS | MEND, MEND | SMALL_READS)):
        yield "v2", f"bundle-{number}", join_chunks([bytes([options]), *data, *flat(rows)])
        yield "v1", f"file-{number}", join_chunks([bytes([options]), *flat(v1_rows())])
    content, _ = strings()
    yield "strings", "whole", b"\x03\xff" + content
    yield "strings", "pieces", b"\x03\x02" + content
    yield "slices", "key", encode_slice_key("w", ROWS[1])
    yield "slices", "spec", b"4 4 0,2:-"
    meta = meta_graph()
    yield "meta", "bytes", meta.SerializeToString(deterministic=True)
    yield "meta", "text", text_format.MessageToString(meta).encode()
    kept = CheckpointState("ckpt-2", ("ckpt-1", "ckpt-2"), (1.5, 2.5), 1.5, ("ckpt-0",), ("ckpt-9",))
    yield "state", "plain", encode_state(CheckpointState("ckpt-1", ("ckpt-1",)))
    yield "state", "comment", encode_state(kept)


def meta_graph() -> Any:
    """A node with an attribute of every kind, and a collection."""
    values: list[object] = [DataType.FLOAT, (2, None), NUMBERS, np.array(STRINGS, object), "s", True, 1, 0.5]
    meta = message_class("tensorflow.MetaGraphDef")()
    node = meta.graph_def.node.add(name="n", op="Const", input=["a:1", "^b"])
    for number, value in enumerate(values):
        set_attr(node.attr[f"one{number}"], value)
        set_attr(node.attr[f"list{number}"], [value])
    meta.collection_def["variables"].bytes_list.value.append(b"w")
    meta.saver_def.filename_tensor_name = "save/Const:0"
    return meta


def flat(rows: Mapping[bytes, bytes]) -> list[bytes]:
    """Keys and values in turn."""
    return [part for row in rows.items() for part in row]


def strings() -> tuple[bytes, int]:
    """The bytes of a string tensor, and its checksum."""
    encoder = LengthsEncoder()
    varints = encoder.add([len(each) for each in STRINGS])
    checksum, crc = encoder.finish()
    body = b"".join(STRINGS)
    return varints + checksum + body, crc32c(body, crc)


def bundle() -> tuple[dict[bytes, bytes], list[bytes]]:
    """The rows of an index, and its data files: a tensor, a string tensor, and one in two slices."""
    text, text_crc = strings()
    numbers = NUMBERS.tobytes()
    halves = [NUMBERS[:1].tobytes(), NUMBERS[1:].tobytes()]
    rows = {
        b"": BundleHeader(SHARDS).encode(),
        b"a": BundleEntry(DataType.FLOAT, (2, 3), 0, 0, 24, crc32c(numbers)).encode(),
        b"s": BundleEntry(DataType.STRING, (3,), 1, 24, len(text), text_crc).encode(),
        b"w": BundleEntry(DataType.FLOAT, (2, 3), 0, 0, 0, 0, ROWS).encode(),
    }
    for number, (where, half) in enumerate(zip(ROWS, halves, strict=True)):
        entry = BundleEntry(DataType.FLOAT, (1, 3), 1, 12 * number, 12, crc32c(half))
        rows[encode_slice_key("w", where)] = entry.encode()
    return rows, [numbers, b"".join(halves) + text]


def v1_rows() -> dict[bytes, bytes]:
    """The rows of a V1 file: integers, strings, and a tensor in two slices."""
    integers = np.array([1, -1], np.int32)
    header = {
        "a": V1Tensor(DataType.INT32, (2,), (WHOLE,)),
        "s": V1Tensor(DataType.STRING, (3,), (WHOLE,)),
        "w": V1Tensor(DataType.FLOAT, (2, 3), ROWS),
    }
    rows = {
        b"": encode_header(header),
        encode_slice_key("a", WHOLE): encode_record("a", WHOLE, DataType.INT32, integers),
        encode_slice_key("s", WHOLE): encode_record("s", WHOLE, DataType.STRING, STRINGS),
    }
    for where, half in zip(ROWS, NUMBERS, strict=True):
        rows[encode_slice_key("w", where)] = encode_record("w", where, DataType.FLOAT, half)
    return rows


def main() -> None:
    """Write them all; what was found since stays beside them."""
    for target, name, content in seeds():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"seed-{name}").write_bytes(content)


if __name__ == "__main__":
    main()
