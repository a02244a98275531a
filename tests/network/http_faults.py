"""What goes wrong with a request between a client and a bucket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.network.flaky_proxy import encoded, passed_on

if TYPE_CHECKING:
    from tests.network.flaky_proxy import Exchange, Fate, Plan


def dropped(exchange: Exchange) -> None:
    """It never reaches the server, and the connection ends."""


def half_sent(exchange: Exchange) -> None:
    """The server gets half of it."""
    exchange.forward_half()


def lost_answer(exchange: Exchange) -> None:
    """The server does it, and nobody hears of it."""
    exchange.forward()


def half_answered(exchange: Exchange) -> None:
    """The server does it, and its answer ends in the middle."""
    exchange.reply_half(exchange.forward())


def half_a_head(exchange: Exchange) -> None:
    """The server does it, and its answer ends in the middle of its head, so that nobody knows how long it was to be."""
    exchange.reply_half_the_head(exchange.forward())


def gateway_timeout(exchange: Exchange) -> None:
    """The server does it, and a gateway between says that it did not answer."""
    exchange.forward()
    exchange.reply(refusal(504, "GatewayTimeout"))


def duplicated(exchange: Exchange) -> None:
    """A proxy between sends it twice, as it may with a PUT, and passes on the answer to the second."""
    exchange.forward()
    exchange.reply(exchange.forward())


def refused(status: int, code: str, **fields: str) -> Fate:
    """A fault: the server answers with an error, and does nothing."""

    def answer(exchange: Exchange) -> None:
        exchange.reply(refusal(status, code, **fields))

    return answer


def refusal(status: int, code: str, **fields: str) -> bytes:
    """An error as S3 writes it. Of Cloud Storage only the status counts, which is what a gateway before it gives."""
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    document = f"<Error><Code>{code}</Code><Message>an injected fault</Message></Error>".encode()
    return encoded(status, code, [*headers, ("Content-Length", str(len(document)))], document)


def silence(exchange: Exchange) -> None:
    """It never reaches the server, and the connection stays; until the client ends it."""
    exchange.wait_for_its_end()


def first(wanted: str, fate: Fate, *, forever: bool = False) -> Plan:
    """What becomes of the first request whose line matches, and of those after it if it is `forever`."""
    done: list[str] = []

    def plan(number: int, line: str) -> Fate:
        if done or not re.match(wanted, line):
            return fate if done and forever else passed_on
        done.append(line)
        return fate

    return plan


ONCE: dict[str, Fate] = {
    "dropped": dropped,
    "half sent": half_sent,
    "lost answer": lost_answer,
    "half answered": half_answered,
    "half a head": half_a_head,
    "gateway timeout": gateway_timeout,
    "duplicated": duplicated,
    "500": refused(500, "InternalError"),
    "503": refused(503, "SlowDown"),
    "429": refused(429, "TooManyRequests", Retry_After="0"),
}
"""What a save or a restore gets over, if it happens once."""

FOREVER: dict[str, Fate] = {
    "dropped": dropped,
    "half sent": half_sent,
    "lost answer": lost_answer,
    "503": refused(503, "SlowDown"),
    "expired": refused(403, "ExpiredToken"),
}
"""What a save or a restore fails of, if it never ends."""
