"""The file formats, bytes in and bytes out. Knows no storage."""
