"""The golden state files: the paths that they name, oldest first, and their times."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "states"

PATHS: dict[str, list[str]] = {
    "relative": ["m-1", "m-2"],
    "absolute": ["/runs/one/m-1", "/runs/one/m-2"],
    "below": ["below/m-1", "below/m-2"],
    "outside": ["../other/m-1", "../other/m-2"],
    "pattern": ["export-?????-of-00003"],
    "absolute_pattern": ["/exports/00000001/export-?????-of-00001"],
    "windows": ["C:\\runs\\one\\m-1", "C:\\runs\\one\\m-2"],
    "windows_share": ["\\\\server\\runs\\m-2"],
    "url": ["s3://bucket/run/m-1", "gs://bucket/run/m-2"],
    "escapes": ['quote"', "apostrophe'", "back\\slash", "new\nline", "tab\t", "\x01\x7f", "épsilon", "日本", "m-2"],
    "spaces_and_commas": ["epoch50, loss0,0998.ckpt"],
    "times": ["m-1", "m-2"],
}
"""By the name of the file."""

TIMES = {"times": ([1728082747.943192, 1728082807.5], 1728079147.25)}
"""When each was saved, and the last one that is kept for good, where a file says so."""
