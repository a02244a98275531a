"""Retention policies: which checkpoints a manager keeps, `CheckpointManager(keep=Latest(3) | EveryHours(2))`."""

from cloudckpt.state.policies import Best, EveryHours, EverySteps, Latest, Pinned, Policy

__all__ = ["Best", "EveryHours", "EverySteps", "Latest", "Pinned", "Policy"]
