"""Spans of saves and restores, as OpenTelemetry's own SDK exports them."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace

import opentelemetry.trace
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from cloudckpt.errors import StorageError
from cloudckpt.manager.reporting.observer import Observer, RestoreWatch
from cloudckpt.manager.reporting.watch import note_passed_over, phase
from cloudckpt.storage.traffic import record

PREFIX = "s3://bucket/run/ckpt-7"


def load(restore: RestoreWatch) -> None:
    """What a manager does that restores step 7."""
    prefix = SimpleNamespace(url=PREFIX)
    restore.found((7, restore.loading(lambda *_: "a tree")(prefix, None)))


class Exported:
    """What a provider of its own exports; the global one can be set only once a process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        monkeypatch.setattr(opentelemetry.trace, "get_tracer", self.provider.get_tracer)

    def __getitem__(self, name: str):
        (span,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return span

    @property
    def names(self) -> list[str]:
        return [span.name for span in self._exporter.get_finished_spans()]


@pytest.fixture
def exported(monkeypatch) -> Exported:
    return Exported(monkeypatch)


def test_a_save_and_its_phases(exported):
    save = Observer().save(7, PREFIX)
    with save.stall():
        phase("snapshot")

    def work() -> None:
        with save.run():
            for name in ("upload", "commit", "retention"):
                phase(name)
            record(requests=2, retries=1, sent=30)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    phases = ["cloudckpt.snapshot", "cloudckpt.upload", "cloudckpt.commit", "cloudckpt.retention"]
    assert exported.names == [*phases, "cloudckpt.save"]
    whole = exported["cloudckpt.save"]
    assert {exported[name].parent.span_id for name in phases} == {whole.context.span_id}
    attributes = dict(whole.attributes)
    assert attributes.pop("cloudckpt.stall") >= 0
    assert attributes == {
        "cloudckpt.step": 7,
        "cloudckpt.prefix": PREFIX,
        "cloudckpt.bytes": 30,
        "cloudckpt.requests": 2,
        "cloudckpt.retries": 1,
    }


def test_each_phase_ends_where_the_next_begins(exported):
    with Observer().save(7, PREFIX).run():
        phase("upload")
        phase("commit")
    upload, commit = exported["cloudckpt.upload"], exported["cloudckpt.commit"]
    assert upload.start_time <= upload.end_time <= commit.start_time <= commit.end_time
    assert commit.end_time <= exported["cloudckpt.save"].end_time


def test_a_save_is_below_the_span_of_the_training_loop(exported):
    with exported.provider.get_tracer("job").start_as_current_span("step"), Observer().save(7, PREFIX).run():
        pass
    assert exported["cloudckpt.save"].parent.span_id == exported["step"].context.span_id


def test_a_failure_is_in_the_span(exported):
    with pytest.raises(StorageError), Observer().save(7, PREFIX).run():
        raise StorageError("the disk is full")
    span = exported["cloudckpt.save"]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "StorageError")
    assert span.events[0].attributes["exception.message"] == "the disk is full"


def test_a_restore(exported):
    with Observer().restore("s3://bucket/run") as restore:
        note_passed_over(9)
        record(received=5)
        load(restore)
    assert dict(exported["cloudckpt.restore"].attributes) == {
        "cloudckpt.directory": "s3://bucket/run",
        "cloudckpt.step": 7,
        "cloudckpt.prefix": PREFIX,
        "cloudckpt.passed_over": (9,),
        "cloudckpt.bytes": 5,
        "cloudckpt.requests": 0,
        "cloudckpt.retries": 0,
    }


def test_a_step_that_is_not_saved_says_so(exported):
    Observer().save(7, PREFIX).skipped()
    assert exported["cloudckpt.save"].attributes["cloudckpt.skipped"] is True


def test_phases_of_nothing_are_no_spans(exported):
    phase("upload")
    assert exported.names == []


def test_there_are_none_where_opentelemetry_is_not_used(monkeypatch):
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    with Observer().save(7, PREFIX).run():
        phase("upload")
    assert "opentelemetry.trace" not in sys.modules


JOB = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from cloudckpt.manager.reporting.observer import Observer, RestoreWatch

with Observer().save(1, "run/ckpt-1").run():  # before there is a provider
    pass
exporter = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
with Observer().save(2, "run/ckpt-2").run():
    pass
print([(span.name, span.attributes["cloudckpt.step"]) for span in exporter.get_finished_spans()])
"""


def test_they_go_to_the_provider_that_the_program_has_set():
    answer = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "[('cloudckpt.save', 2)]\n"
