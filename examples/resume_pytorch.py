"""A PyTorch job on a machine that may be taken away: it saves, leaves in time, and goes on where it was.

    python examples/resume_pytorch.py s3://bucket/job

Its exit code tells a scheduler what to do: 0, it is done; 75, it was preempted and wants to be started again.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

import torch

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Generator

STEPS, SAVE_EVERY = 400, 10
State = dict[str, Any]


def train(restored: tuple[State, int] | None) -> Generator[tuple[int, State], None, None]:
    """Adam on least squares; yields after each step what a checkpoint of it would hold: PyTorch's own state dicts."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    step = 0
    if restored:
        state, step = restored
        model.load_state_dict(as_tensors(state["model"]))
        optimizer.load_state_dict(as_tensors(state["optimizer"]))
        torch.set_rng_state(torch.from_numpy(state["rng"]))
    while step < STEPS:
        examples = torch.randn(256, 32)
        loss = torch.nn.functional.mse_loss(model(examples), examples.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        yield step, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().numpy())
    print(f"weights of SHA-256 {digest.hexdigest()}")


def as_tensors(tree: Any) -> Any:
    """PyTorch's tensors in the place of NumPy's arrays."""
    if isinstance(tree, dict):
        return {key: as_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [as_tensors(value) for value in tree]
    return torch.from_numpy(tree) if hasattr(tree, "__array__") else tree


def main(directory: str) -> int:
    """Train, from where the newest whole checkpoint is; returns the exit code."""
    with ckpt.CheckpointManager(
        directory,
        save_every_n_steps=SAVE_EVERY,
        asynchronous=True,
        preemption=ckpt.preemption.detect(),
    ) as manager:
        return ckpt.run(train, manager)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
