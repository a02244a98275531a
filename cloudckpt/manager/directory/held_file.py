"""The state file as one manager holds it: swapped while it is what was read, lost to whoever else swaps it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.conflict import winner_of
from cloudckpt.errors import CommitConflictError, CommitUnknownError, PreconditionFailedError, StorageError
from cloudckpt.state.directory import ReadState, read_state, swap_state
from cloudckpt.state.state_file import CheckpointState
from cloudckpt.state.steps import step_of

if TYPE_CHECKING:
    from cloudckpt.errors import Winner
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["HeldFile"]

logger = logging.getLogger(__name__)


class HeldFile:
    """One directory's state file, and the version it must still have at the next swap. For one thread at a time.

    Attributes:
        state: what it says, or will say from the next swap on.
        is_held: whether it was read.
        swaps: how often it was swapped.
    """

    def __init__(self, directory: Location, base_name: str) -> None:
        self._directory = directory
        self._base_name = base_name
        self._info: ObjectInfo | None = None
        self._lost: CommitConflictError | None = None
        self._unproved: set[str] = set()
        """the commit ids of writes of this manager of which nobody knows whether they arrived"""
        self.state = CheckpointState()
        self.is_held = False
        self.swaps = 0

    def take(self, read: ReadState) -> None:
        """Hold a state file as it was just read."""
        self.state, self._info, self.is_held, self._lost = read.state, read.info, True, None

    def lose(self, error: CommitConflictError) -> None:
        """Another writer has won: raise at every check until the file is taken again."""
        self._lost = error

    def check(self) -> None:
        """Raise if another writer has won.

        Raises:
            CommitConflictError: it has, since this manager last looked.
        """
        if self._lost is not None:
            raise self._conflict(None, self._lost.winner)

    def doubt(self, error: CommitUnknownError) -> None:
        """Nobody knows whether a write of this manager has arrived: what is found with its id is no other writer's."""
        if error.commit_id is not None:
            self._unproved.add(error.commit_id)

    def is_own(self, winner: Winner | None) -> bool:
        """Whether a write is one of this manager's of which it did not know."""
        return winner is not None and winner.commit_id in self._unproved

    def swap(self, state: CheckpointState, *, committed: str | None = None) -> None:
        """Replace the file, if nobody else has. One PUT.

        Args:
            state: what it is to say.
            committed: the prefix that was just committed, for the error.

        Raises:
            CommitConflictError: another writer has replaced it.
            CommitUnknownError: the answer was lost, and reading back did not prove who won.
            StorageError: the store failed.
        """
        try:
            self._info = swap_state(self._directory, state, self._info)
        except CommitUnknownError as error:
            self.doubt(error)
            raise
        except PreconditionFailedError as error:
            if not self._take_own(found := self._look_again()):
                raise self._defeat(committed, found) from error
            self.swap(state, committed=committed)
        else:
            self.state = state
            self.swaps += 1

    def require_held(self) -> None:
        """See that the file is still the one that is held. A GET.

        Raises:
            CommitConflictError: another writer has replaced it.
        """
        found = read_state(self._directory)
        is_held = self._info is not None and found.info is not None and found.info.version == self._info.version
        if not is_held and not self._take_own(found):
            raise self._defeat(None, found)

    def _take_own(self, found: ReadState | None) -> bool:
        """Hold the file that was found in the place of the held one, if this manager wrote it without an answer."""
        if found is None or found.info is None or found.info.commit_id not in self._unproved:
            return False
        self._unproved.discard(found.info.commit_id)
        self._info = found.info
        return True

    def _look_again(self) -> ReadState | None:
        """The state file as it is now; None if it can't be had."""
        try:
            return read_state(self._directory)
        except StorageError as error:
            logger.info("the state file in %s can't be looked at: %s", self._directory.url, error)
            return None

    def _defeat(self, committed: str | None, found: ReadState | None) -> CommitConflictError:
        """The error about the file that was found in the place of the one that is held."""
        winner = None
        if found is not None and found.info is not None:
            winner = winner_of(self._directory, found.info, step_of(found.state.latest, self._base_name))
        self._lost = self._conflict(committed, winner)
        return self._lost

    def _conflict(self, committed: str | None, winner: Winner | None) -> CommitConflictError:
        what = f"{committed!r} is committed and stays, but" if committed else "nothing was saved:"
        who = "" if winner is None else f", {winner}"
        return CommitConflictError(
            f"{what} another writer has saved in {self._directory.url!r} since this manager last looked{who}. See to "
            "it that one job writes there, and call restore_latest before the next save",
            path=self._directory.url,
            committed=committed,
            winner=winner,
        )
