"""The SDK for coroutines, and the source of the other colour.

`scripts/uncolour` makes the modules of `Client` out of those here that carry no transport: every
verb is written once.
"""

from __future__ import annotations

from fotapool.client.aio.devices import AsyncDevicesController, AsyncUpgradesController
from fotapool.client.aio.licenses import AsyncLicensesController
from fotapool.client.aio.paging import AsyncListing
from fotapool.client.aio.pool import AsyncPoolController
from fotapool.client.aio.shell import AsyncClient
from fotapool.client.aio.transport import AiohttpTransport, AsyncTransport

__all__ = [
    "AiohttpTransport",
    "AsyncClient",
    "AsyncDevicesController",
    "AsyncLicensesController",
    "AsyncListing",
    "AsyncPoolController",
    "AsyncTransport",
    "AsyncUpgradesController",
]
