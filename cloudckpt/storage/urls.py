"""URLs as they may be shown: without credentials, and without signatures."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"(?<=\w)\?[^\s'\"]*=[^\s'\"]*")


def redacted(text: str) -> str:
    """The text with the user and password, and the query, of every URL in it left out.

    Queries go because that is where signed URLs carry their signatures and tokens.
    """
    without_users = _USERINFO.sub("", text)
    return _QUERY.sub("?…", without_users) if "://" in without_users else without_users
