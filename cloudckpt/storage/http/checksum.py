"""Checksums as both clouds write them in headers and documents."""

from __future__ import annotations

import base64


def encoded(crc32c: int) -> str:
    """A CRC-32C in base64, its bytes in big-endian order."""
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()
