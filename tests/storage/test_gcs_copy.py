"""Copies inside Cloud Storage against a scripted server: what fake-gcs-server ignores, and rewrites of many calls."""

from __future__ import annotations

import json

import pytest

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
)
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, ObjectInfo
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_gcs import TOKEN, failing, gcs_store, resource

SOURCE = ObjectInfo("run/a b", 4, "123", 0.0)


def done(**fields):
    return Answer(body=json.dumps({"done": True, "resource": json.loads(resource(**fields).body)}).encode())


def going_on(token):
    return Answer(body=json.dumps({"done": False, "rewriteToken": token}).encode())


@pytest.mark.parametrize(
    ("condition", "generation"), [(Always(), None), (IfAbsent(), "0"), (IfVersion("77"), "77"), (IfVersion("?"), "1")]
)
def test_what_is_sent(condition, generation):
    answer = done(key="run/copy", metadata={"cloudckpt-commit": "mine"})
    with scripted_server(answer) as server, gcs_store(server) as store:
        info = store.copy(SOURCE, "run/copy", condition, commit_id="mine")
        bucket = store.url("").split("/")[2]
        [seen] = server.seen
    assert info == ObjectInfo("run/copy", 4, "5", 60.0, "mine")
    assert seen.method == "POST"
    path = seen.target.partition("?")[0]
    assert path == f"/storage/v1/b/{bucket}/o/run%2Fa%20b/rewriteTo/b/{bucket}/o/run%2Fcopy"
    assert seen.query.pop("sourceGeneration") == "123"
    assert seen.query == {"sourceGeneration": "123"} | ({"ifGenerationMatch": generation} if generation else {})
    assert json.loads(seen.body) == {"name": "run/copy", "metadata": {"cloudckpt-commit": "mine"}}
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_rewrite_of_many_calls_goes_on_where_it_stands():
    answers = [going_on("first/token"), going_on("second"), done()]
    with scripted_server(*answers) as server, gcs_store(server) as store:
        store.copy(SOURCE, "key", IfAbsent(), commit_id="mine")
    assert [seen.query.get("rewriteToken") for seen in server.seen] == [None, "first/token", "second"]
    assert {seen.query["ifGenerationMatch"] for seen in server.seen} == {"0"}
    assert len({seen.body for seen in server.seen}) == 1


@pytest.mark.parametrize(
    ("answers", "error", "about"),
    [
        ([failing(412, "conditionNotMet")], PreconditionFailedError, "key"),
        ([going_on("token"), failing(412, "conditionNotMet")], PreconditionFailedError, "key"),
        ([failing(404, "notFound"), failing(404, "notFound")], ObjectNotFoundError, "run/a b"),
        ([failing(404, "notFound"), resource(generation="124")], ObjectChangedError, "run/a b"),
        ([failing(404, "notFound"), resource(generation="123")], ObjectNotFoundError, "run/a b"),
        ([failing(503, "backendError")], TransientStorageError, "key"),
        ([Answer(body=b"{}")], StorageError, "key"),
        ([Answer(body=b"{")], TransientStorageError, "key"),
    ],
)
def test_what_the_answers_mean(answers, error, about):
    with scripted_server(*answers) as server, gcs_store(server) as store:
        with pytest.raises(StorageError) as failure:
            store.copy(SOURCE, "key", IfAbsent())
        assert type(failure.value) is error
        assert failure.value.path == store.url(about)


def test_a_lost_answer_is_recognised_by_its_commit_id():
    written = resource(metadata={"cloudckpt-commit": "mine"})
    answers = [Answer(drop=True), failing(412, "conditionNotMet"), written]
    with scripted_server(*answers) as server, RetryingStore(gcs_store(server), sleep=lambda _: None) as store:
        assert store.copy(SOURCE, "key", IfAbsent(), commit_id="mine").version == "5"
