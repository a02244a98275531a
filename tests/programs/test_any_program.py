"""Whatever a program does with two savers in a directory, it finds the same checkpoints, lists and state files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.programs.observations import files, state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs.comparison import Both

STEPS = st.integers(0, 9)
SAVER = st.sampled_from(["first", "second"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("save"), SAVER, STEPS),
        st.tuples(st.just("save without state"), SAVER, STEPS),
        st.tuples(st.just("delete by hand"), SAVER, STEPS),
        st.tuples(st.just("forget"), SAVER, st.lists(STEPS, max_size=3)),
        st.tuples(st.just("restart"), SAVER, st.booleans()),
        st.tuples(st.just("pass"), st.just(""), st.sampled_from([0.2, 1.0, 5.0])),
    ),
    max_size=12,
)
OPTIONS = st.fixed_dictionaries(
    {
        "max_to_keep": st.sampled_from([None, 0, 1, 2, 3]),
        "keep_checkpoint_every_n_hours": st.sampled_from([0.5, 2.0, 10_000.0]),
        "save_relative_paths": st.booleans(),
        "pad_step_number": st.booleans(),
        "write_version": st.sampled_from([1, 2]),
    }
)


@dataclass(frozen=True)
class World:
    """A module, and a session over a graph of it."""

    tf: Any
    session: Any

    @classmethod
    def of(cls, tf: Any) -> World:
        with tf.Graph().as_default() as graph:
            w = tf.Variable(1.0, name="w")
            session = tf.Session(graph=graph)
            session.run(w.initializer)
        return cls(tf, session)

    def saver(self, options: dict[str, Any]) -> Any:
        with self.session.graph.as_default():
            return self.tf.train.Saver(**options)


class Job:
    """A program with two savers, each of which is of the other module after a restart."""

    def __init__(self, modules: list[Any], directory: Path, options: dict[str, Any], *, one_state: bool) -> None:
        self.directory, self.options = str(directory), options
        self.states = {"first": "checkpoint", "second": "checkpoint" if one_state else "other"}
        self.worlds = {name: [World.of(tf) for tf in modules] for name in self.states}
        self.savers = {name: self.worlds[name][0].saver(options) for name in self.states}

    def act(self, action: str, name: str, detail: Any, clock: Any) -> None:
        match action:
            case "save" | "save without state":
                self.save(name, detail, write_state=action == "save")
            case "delete by hand":
                version = self.options.get("write_version", 2)
                self.worlds[name][0].tf.train.remove_checkpoint(self.prefix(name, detail), version)
            case "forget":
                self.savers[name].set_last_checkpoints([self.prefix(name, step) for step in detail])
            case "restart":
                self.restart(name, recover=detail)
            case "pass":
                clock.pass_hours(detail)

    def save(self, name: str, step: int, *, write_state: bool) -> None:
        session, path = self.worlds[name][0].session, f"{self.directory}/{name}"
        named = {"latest_filename": self.states[name], "write_state": write_state}
        with session.graph.as_default():
            self.savers[name].save(session, path, global_step=step, **named)

    def prefix(self, name: str, step: int) -> str:
        number = f"{step:08d}" if self.options.get("pad_step_number") else f"{step}"
        return f"{self.directory}/{name}-{number}"

    def restart(self, name: str, *, recover: bool) -> None:
        self.worlds[name].reverse()
        world = self.worlds[name][0]
        self.savers[name] = world.saver(self.options)
        found = world.tf.train.get_checkpoint_state(self.directory, self.states[name])
        if recover and found is not None:
            self.savers[name].recover_last_checkpoints(list(found.all_model_checkpoint_paths))


def program(
    tf: Any, later: Any, directory: Path, clock: Any, actions: list[Any], options: dict[str, Any], one_state: bool
) -> dict[str, Any]:
    observed = {}
    job = Job([tf, later], directory, options, one_state=one_state)
    for number, action in enumerate(actions):
        job.act(*action, clock)
        observed[f"after {number}, {action}"] = [
            [saver.last_checkpoints for saver in job.savers.values()],
            [name for name in files(directory) if ".data-" not in name],  # which P3 names anew
            [state(directory, name) for name in job.states.values()],
        ]
    return observed


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(actions=ACTIONS, options=OPTIONS, one_state=st.booleans())
@example(
    actions=[("save", "first", 2), ("save without state", "first", 2), ("save", "first", 0)],
    options={"max_to_keep": 1},
    one_state=True,
)
def test_any_program(both: Both, actions: list[Any], options: dict[str, Any], one_state: bool) -> None:
    arguments = {"actions": actions, "options": options, "one_state": one_state}
    both.compare(program, arguments, {}, restarted=True)
