"""One directory and one job at a time: saves, ways back, deletions, damage, quarantine, restarts and lost states in any
order, under each policy. A restart goes on from what it must, and what a policy keeps is there."""

from __future__ import annotations

import math
import re
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.state.policies import Best, EverySteps, Latest, Pinned, Policy
from tests.manager.runs import MemoryRun, same, tree

if TYPE_CHECKING:
    from cloudckpt.manager.checkpoint_manager import CheckpointManager

POLICIES = [
    Latest(None),
    Latest(1),
    Latest(2),
    Latest(1) | EverySteps(3),
    Latest(2) | Best("loss"),
    Best("loss", "max", 2),
    Latest(1) | Pinned([2, 5]),
]


class Directory(RuleBasedStateMachine):
    """What is there, and what a restart must find."""

    def __init__(self) -> None:
        super().__init__()
        self.run = MemoryRun()
        self.manager: CheckpointManager | None = None
        self.line: dict[int, tuple[str, float]] = {}
        """the steps that the job has come through and that stay, with the name and the loss of each"""
        self.written: dict[int, str] = {}
        """the name of what was saved last as each step"""
        self.damaged: set[int] = set()
        self.at = 0
        self.saves = 0
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.simplefilter("ignore")

    def teardown(self) -> None:
        self._quiet.__exit__(None, None, None)

    @initialize(policy=st.sampled_from(POLICIES))
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.manager = self.run.manager(keep=policy)

    @rule(by=st.sampled_from([1, 1, 1, 2, 3, 0, -1, -2]), loss=st.sampled_from([0.1, 0.2, 0.3, float("nan")]))
    def save(self, by: int, loss: float) -> None:
        assert self.manager is not None
        self.saves += 1
        self.at, name = max(self.at + by, 0), f"save {self.saves}"
        self.manager.save(self.at, tree(self.at, name), {"loss": loss})
        self.line = {step: known for step, known in self.line.items() if step < self.at}
        self.line[self.at] = name, loss
        self.damaged.discard(self.at)
        self.written[self.at] = name
        kept = self.kept()
        self.line = {step: known for step, known in self.line.items() if step in kept}
        assert set(self.run.named) == set(self.line)
        assert set(self.line) <= set(self.run.indexed)

    def kept(self) -> set[int]:
        """What the policy keeps of the line, said in other words than its own."""
        steps, kept = sorted(self.line), {max(self.line)}
        for policy in self.policy.members:
            if isinstance(policy, Latest):
                kept.update(steps[-policy.count :] if policy.count else steps)
            elif isinstance(policy, EverySteps):
                kept.update(step for step in steps if step % policy.steps == 0)
            elif isinstance(policy, Pinned):
                kept.update(set(steps).intersection(policy.steps))
            elif isinstance(policy, Best):
                sign = 1 if policy.mode == "min" else -1
                rated = sorted((sign * loss, -step) for step, (_, loss) in self.line.items() if not math.isnan(loss))
                kept.update(-step for _, step in rated[: policy.count])
        return kept

    @precondition(lambda self: {*self.line} - self.damaged)
    @rule(quarantine=st.booleans())
    def restart(self, quarantine: bool) -> None:
        self.manager = self.run.manager(keep=self.policy, quarantine=quarantine)
        step = max({*self.line} - self.damaged)
        found, self.at = self.manager.restore_latest()
        assert self.at == step
        assert same(found, tree(step, self.written[step]))
        if quarantine:
            aside = {known for known in self.damaged.intersection(self.line) if known > step}
            self.line = {known: what for known, what in self.line.items() if known not in aside}
            assert not aside.intersection(self.run.indexed)
            self.damaged -= aside

    @precondition(lambda self: len(self.line) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        assert self.manager is not None
        step = data.draw(st.sampled_from(sorted(self.line)))
        with suppress(InvalidArgumentError):
            self.manager.delete(step)
            del self.line[step]
            self.damaged.discard(step)
            assert step not in self.run.indexed

    @precondition(lambda self: len(self.line) > 1)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """Data of a step is lost; never of the last whole one."""
        step = data.draw(st.sampled_from(sorted(self.line)))
        if set(self.line) - self.damaged - {step}:
            self.damaged.add(step)
            for file in self.run.files:
                if re.fullmatch(rf"ckpt-{step}\.data.*", file):
                    del self.run.filesystem.store[f"/run/{file}"]

    @precondition(lambda self: self.line and not self.damaged)
    @rule()
    def lose_the_state(self) -> None:
        """And start again: the highest step is taken, and from then on only that one is named."""
        self.run.filesystem.store.pop("/run/checkpoint", None)
        self.manager = self.run.manager(keep=self.policy)
        found, self.at = self.manager.restore_latest()
        assert self.at == max(self.run.indexed)
        assert same(found, tree(self.at, self.written[self.at]))
        before = self.run.indexed
        self.saves += 1
        self.line = {}
        self.at, name = self.at + 1, f"save {self.saves}"
        self.manager.save(self.at, tree(self.at, name))
        self.written[self.at] = name
        assert set(before) - {self.at - 1} <= set(self.run.indexed)  # nobody deletes what the state does not name
        self.line = {step: (self.written[step], float("nan")) for step in self.run.named}
        if self.at - 1 in self.line:
            loss = self.manager.metrics(self.at - 1).get("loss", float("nan"))
            self.line[self.at - 1] = self.written[self.at - 1], loss


FREELY: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_a_directory() -> None:
    run_state_machine_as_test(Directory, settings=settings(max_examples=100, stateful_step_count=30, **FREELY))


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_directory_for_long() -> None:
    run_state_machine_as_test(Directory, settings=settings(max_examples=4000, stateful_step_count=60, **FREELY))
