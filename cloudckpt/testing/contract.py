"""The contract that every store keeps, as a suite of tests."""

from __future__ import annotations

from cloudckpt.testing.contract_copies import CopyContract
from cloudckpt.testing.contract_deletes import DeleteContract
from cloudckpt.testing.contract_lists import ListContract
from cloudckpt.testing.contract_places import PlaceContract
from cloudckpt.testing.contract_races import RaceContract
from cloudckpt.testing.contract_reads import ReadContract
from cloudckpt.testing.contract_unfinished import UnfinishedContract
from cloudckpt.testing.contract_uploads import UploadContract
from cloudckpt.testing.contract_writes import WriteContract


class StoreContract(
    WriteContract,
    UploadContract,
    UnfinishedContract,
    CopyContract,
    ReadContract,
    ListContract,
    DeleteContract,
    PlaceContract,
    RaceContract,
):
    """Every operation of a `Store`, every condition, and the truth of its `Capabilities`.

    A claimed capability is exercised, threads racing each other included; one that is not claimed must refuse with
    `UnsupportedOperationError`. No test is skipped. To test a store, give its suite a fixture::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def location(self):
                with open_location("mystore://bucket/" + uuid4().hex) as location:
                    yield location

    and, where it has buckets, `missing_location`. What the class attributes say is part of the contract.
    """
