"""What the writer and the reader of tables agree on.

A table is data blocks, an empty metaindex block, an index block (a key not below the last of each data block, and
where that block is) and a footer. A trailer follows every block: the kind of compression, a byte, and the masked
CRC-32C of the block and that byte. The footer holds where the metaindex and the index are, zeros up to 40 bytes, and a
magic number. "Where" is two varints, offset and size without the trailer.

Source: core/lib/io/table_format.txt and format.cc.
"""

from __future__ import annotations

import struct

__all__ = ["FOOTER_SIZE", "HANDLES_SIZE", "MAGIC", "SNAPPY", "TRAILER", "UNCOMPRESSED"]

UNCOMPRESSED = 0
SNAPPY = 1

TRAILER = struct.Struct("<BI")
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
HANDLES_SIZE = 40
FOOTER_SIZE = HANDLES_SIZE + len(MAGIC)
