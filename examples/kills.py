"""The moments at which the demo kills its job, and the step that each restart must find."""

from __future__ import annotations

from dataclasses import dataclass

from tripwire import Moment


@dataclass(frozen=True)
class Kill:
    """One moment to die in the middle of a save."""

    saving: int
    words: str
    moment: Moment
    resumes_at: int
    """The newest whole checkpoint at that moment: before the `.index` is there it is the one before."""


KILLS = [
    Kill(20, "first of all, half of the data sent", Moment(r"^PUT .*/ckpt-20\.data-", share=0.5), 0),
    Kill(40, "no data sent yet", Moment(r"^PUT .*/ckpt-40\.data-"), 20),
    Kill(80, "half of the data sent", Moment(r"^PUT .*/ckpt-80\.data-", share=0.5), 60),
    Kill(120, "data sent, index not", Moment(r"^PUT .*/ckpt-120\.index"), 100),
    Kill(160, "index sent, state file not", Moment(r"^PUT .*/checkpoint\b", after=r"/ckpt-160\.index"), 160),
    Kill(
        200,
        "all sent; an old index deleted, its data not",
        Moment(r"^(DELETE .*/ckpt-\d+\.data-|POST .*[?&]delete\b)", after=r"^PUT .*/ckpt-200\.index"),
        200,
    ),
]


@dataclass(frozen=True)
class Outcome:
    """What one kill left behind, and the step that the restart found."""

    kill: Kill
    left: str
    found: int

    @property
    def as_promised(self) -> bool:
        """Whether the restart went on from the newest whole checkpoint."""
        return self.found == self.kill.resumes_at
