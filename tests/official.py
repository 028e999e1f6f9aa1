"""The vendor's official Python SDK, unmodified but for its host table, logged in to an emulator."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from fotapool.testing import Live

ACCOUNT = "0000123456-00001"


def credentials(live: Live, **given: str) -> Any:
    """The SDK's own, those of the emulator where nothing else is given."""
    from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials

    login = live.login
    pair = {"oauth_client_id": login.client_id, "oauth_client_secret": login.client_secret}
    return ThingspaceOauthCredentials(**(pair | given))


def official_client(live: Live, **settings: Any) -> Any:
    """A client of it that has a session, made as its documentation makes one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns
        live.repoint_official_sdk()
        from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
        from verizon.models.log_in_request import LogInRequest
        from verizon.verizon_client import VerizonClient

    oauth = credentials(live)
    body = LogInRequest(username=live.login.username, password=live.login.password)
    sessions = VerizonClient(thingspace_oauth_credentials=oauth).session_management
    session = sessions.start_connectivity_management_session(body=body).body.session_token
    return VerizonClient(
        thingspace_oauth_credentials=oauth,
        vz_m2m_token_credentials=VZM2mTokenCredentials(vz_m2m_token=session),
        **settings,
    )


def imeis_of(*devices: str) -> Any:
    """The body that its v3 assign and remove take."""
    from verizon.models.v3_license_imei import V3LicenseIMEI

    return V3LicenseIMEI(device_list=list(devices))


class Theirs:
    """The official SDK, asked of one account."""

    def __init__(self, live: Live, **settings: Any) -> None:
        self.live = live
        self.client = official_client(live, **settings)
        self._licenses = self.client.software_management_licenses_v3

    def status(self) -> Any:
        return self._licenses.get_account_licenses_status(ACCOUNT)

    def assign(self, *imeis: str) -> Any:
        return self._licenses.assign_licenses_to_devices(ACCOUNT, imeis_of(*imeis))

    def remove(self, *imeis: str) -> Any:
        return self._licenses.remove_licenses_from_devices(ACCOUNT, imeis_of(*imeis))


def raised(call: Callable[..., Any], *arguments: Any) -> Exception:
    """What a call raises."""
    with pytest.raises(Exception) as caught:
        call(*arguments)
    return caught.value
