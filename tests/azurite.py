"""Azurite, Microsoft's emulator of Azure Blob Storage, where it is to be had.

It needs Node.js, which not every machine that runs these tests has: where it is missing its tests are skipped, in CI as
well, and the summary names it. `make servers` gets it where npm is there. One that runs already is used instead when
CLOUDCKPT_TEST_AZURE_ENDPOINT gives its address.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)

from tests.servers import MISSING, ObjectServer, ServerProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, which its documentation publishes."""


@contextmanager
def running_azurite(folder: Path) -> Iterator[ObjectServer]:
    """Azurite keeping its objects in memory, or the server at CLOUDCKPT_TEST_AZURE_ENDPOINT, with a container."""
    given = os.environ.get("CLOUDCKPT_TEST_AZURE_ENDPOINT")
    if given:
        yield make_container(given)
        return
    port = free_port()
    command = [_binary(), "--silent", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    with ServerProcess(command, folder, f"http://127.0.0.1:{port}", _containers(), {}) as process:
        yield make_container(process.endpoint)


def make_container(endpoint: str) -> ObjectServer:
    """A new container on a running Azurite."""
    name = f"cloudckpt-{uuid.uuid4().hex[:12]}"
    parts = {"DefaultEndpointsProtocol": "http", "AccountName": ACCOUNT, "AccountKey": KEY}
    parts["BlobEndpoint"] = f"{endpoint}/{ACCOUNT}"
    connection = ";".join(f"{part}={value}" for part, value in parts.items())
    with BlobServiceClient.from_connection_string(connection) as client:
        client.create_container(name).close()
    return ObjectServer("azurite", "abfs", endpoint, name, {"connection_string": connection}, ACCOUNT, KEY)


def _containers() -> str:
    """The path, signed, of the list of containers: nothing of Azurite answers 200 to strangers."""
    signature = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(service=True),
        AccountSasPermissions(list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    return f"/{ACCOUNT}?comp=list&{signature}"


def _binary() -> str:
    folders = [os.environ.get("CLOUDCKPT_SERVERS", ""), os.environ.get("PATH", "")]
    folders.append(str(Path.home() / ".cache" / "cloudckpt" / "servers" / "bin"))
    found = shutil.which("azurite-blob", path=os.pathsep.join(folder for folder in folders if folder))
    if found is None:
        pytest.skip(f"{MISSING}azurite-blob; to get it: Node.js with npm, then `make servers`")
    return found
