"""The vendor's SDK, as its users call it, pointed at a server of ours."""

from __future__ import annotations

from typing import Any

from verizon.api_helper import APIHelper
from verizon.configuration import Configuration, Server
from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials
from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
from verizon.models.oauth_token import OauthToken
from verizon.models.v3_license_summary import V3LicenseSummary
from verizon.verizon_client import VerizonClient


def client_of(origin: str) -> Any:
    """Its client with both tokens ready."""

    class Local(Configuration):  # type: ignore[misc]
        def get_base_uri(self, server: Any = Server.THINGSPACE) -> Any:
            return super().get_base_uri(server).replace("https://thingspace.verizon.com", origin)

    token = OauthToken(access_token="b", token_type="Bearer")
    return VerizonClient(
        config=Local(
            thingspace_oauth_credentials=ThingspaceOauthCredentials(
                oauth_client_id="i", oauth_client_secret="s", oauth_token=token
            ),
            vz_m2m_token_credentials=VZM2mTokenCredentials(vz_m2m_token="s"),
        )
    )


def status(client: Any, account: str) -> Any:
    """A status page (v3)."""
    return client.software_management_licenses_v3.get_account_licenses_status(account).body


def decode_page(text: str) -> Any:
    """What its client makes of a status page."""
    return APIHelper.json_deserialize(text, V3LicenseSummary.from_dictionary)
