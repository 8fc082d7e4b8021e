"""Customers as a client stores them, and asks about them, over HTTP."""

from __future__ import annotations

import json

from engage.storage.schema import metadata
from tests.phones import fictional_phone

PHONE = fictional_phone(7)
ADA = {
    "name": "Ada Diaz",
    "phone": PHONE,
    "locale": "en-US",
    "time_zone": "America/New_York",
    "registered_at": "2026-01-05T08:00:00+01:00",
    "consent": {"source": "app settings", "at": "2026-01-05T09:00:00"},
}
EVERYTHING = tuple(metadata.tables)


class Customers:
    """The service's customers. Calls return the answer."""

    def __init__(self, api):
        self.api, self.world = api, api.world

    def put(self, body, id_=4711):
        headers = {"Content-Type": "application/json"}
        return self.api.request("PUT", f"/v1/customers/{id_}", content=json.dumps(body), headers=headers)

    def get(self, id_=4711):
        return self.api.get(f"/v1/customers/{id_}")

    def opt_out(self, id_=4711):
        return self.api.request("POST", f"/v1/customers/{id_}/opt-out")

    def delete(self, id_=4711):
        return self.api.request("DELETE", f"/v1/customers/{id_}")

    def dump(self):
        return self.world.dump(*EVERYTHING)


def told(answer, status=200):
    assert answer.status_code == status, answer.text
    assert PHONE not in answer.text
    return answer.json()
