"""URLs as they may be shown: without credentials, and without signatures."""

from __future__ import annotations

import re

__all__ = ["cause_of", "reason_of", "redacted"]

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"(?<=\w)\?[^\s'\"]*=[^\s'\"]*")


def redacted(text: str) -> str:
    """The text with the user and password, and the query, of every URL in it left out.

    Queries go because that is where signed URLs carry their signatures and tokens.
    """
    without_users = _USERINFO.sub("", text)
    return _QUERY.sub("?…", without_users) if "://" in without_users else without_users


def reason_of(error: BaseException) -> str:
    """The kind of an error of another library and what it says, as a message of ours may say it."""
    return f"{type(error).__name__}: {_without_secrets(error)}"


def cause_of(error: BaseException) -> BaseException | None:
    """The error to raise one of ours from, if a traceback may show it; else None."""
    return error if _without_secrets(error) == str(error) else None


def _without_secrets(error: BaseException) -> str:
    """What it says; other libraries write paths of requests into that, with the query, also without the host."""
    return _QUERY.sub("?…", _USERINFO.sub("", str(error)))
