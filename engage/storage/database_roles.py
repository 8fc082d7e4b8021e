"""The rights of the server's database roles, as data. Each ``db upgrade`` grants them, on behalf of the tables' owner.

The owner runs migrations, steps, maintenance and the command line: all that makes or swaps tables. Other parts
have a role each, which may change rows and no table: the HTTP service, the pages inside Airflow, and Airflow's DAG
processor, which raises the alert of a killed task. A role that does not exist is left out, so an installation with one
role for everything needs none of this.
"""

from __future__ import annotations

import sqlalchemy as sa

from engage.storage import partitions, schema
from engage.storage.partitions.ddl import run

SERVICE, PAGES, ALERTS = "engage_service", "engage_pages", "engage_alerts"

_READ, _ADD = "SELECT", "SELECT, INSERT"
_HALT = "halted_at, halted_by, halted_why, resumed_at"
_LOG = "SELECT, INSERT, DELETE"
_RECORD = "SELECT, INSERT, UPDATE, DELETE"
_TIMES = "last_session_at, first_purchase_at, last_purchase_at"
_ERASE_NUMBERS = f"SELECT, UPDATE (customer_id, registered_at, favourite_item, {_TIMES})"
_ERASE_SEGMENT = "SELECT, UPDATE (customer_id)"
_ERASE_CUSTOMER = "SELECT (customer_id), DELETE"
_ERASE_AND_IMPORT_EVENTS = "SELECT (customer_id), INSERT, DELETE"
_PROFILE = "registered_at, name, phone, phone_hash, locale, time_zone, consent_at, consent_source"
_SETTLE = (
    "status, reason, provider_message_id, error, error_code, fact, queued_at, unknown_at, accepted_at, sent_at, "
    "settled_at, settled_by, settled_why"
)
_APPEND_CONSENT = "SELECT, UPDATE (length, last_hash)"
_ERASE_CONSENT = "customer_id, wording, evidence, salt"
_ERASE_MESSAGE = "customer_id, phone_hash, body"
_JUDGE_TEXT = (
    "text, source, status, lint, variant, edited_by, edited_at, approved_by, approved_at, rejected_by, rejected_at"
)

RIGHTS: dict[str, dict[sa.Table, str]] = {
    SERVICE: {
        schema.customer: _RECORD,
        schema.suppression: _RECORD,
        schema.consent_event: f"SELECT, INSERT, UPDATE ({_ERASE_CONSENT})",  # its trigger lets an erasure blank these
        schema.consent_chain: _APPEND_CONSENT,
        schema.inbound_sms: _RECORD,
        schema.app_session: _LOG,
        schema.purchase: _LOG,
        schema.refund: _LOG,
        schema.app_event: _LOG,
        schema.item: _READ,
        schema.intake_batch: "SELECT, INSERT, UPDATE (answer)",  # an answer counts its repeated events
        schema.event_id: _ADD,
        schema.api_key: _READ,
        schema.campaign: f"SELECT, UPDATE ({_HALT})",  # receipts may halt a campaign
        schema.explained_day: _READ,  # read with the guard's findings
        schema.alert: _ADD,
        schema.message: "SELECT, UPDATE",
        schema.message_count: _RECORD,  # its trigger counts for the role that changes a message
        # erasure leaves the counts under another id
        schema.customer_activity: _ERASE_NUMBERS,
        schema.customer_bucket: _ERASE_SEGMENT,
        schema.campaign_lift: _READ,
        schema.offer_code: "SELECT, UPDATE (customer_id, redeemed_at)",
        schema.test_send: "SELECT (phone, phone_hash), DELETE",  # erasure
        schema.customer_exclusion: _ERASE_CUSTOMER,
        schema.odd_customer: _ERASE_CUSTOMER,
        schema.archived_log: _READ,
        schema.archive_erasure: "INSERT",
    },
    PAGES: {
        schema.campaign: f"SELECT, UPDATE ({_HALT}, approval_checked, distribution)",  # a page keeps what it counted
        schema.daily_volume: _READ,
        schema.explained_day: _RECORD,
        # a customer is opted out, forgotten or imported; a consent in a file ends a revocation
        schema.customer: f"SELECT, INSERT (customer_id, {_PROFILE}), UPDATE (opted_out_at, {_PROFILE}), DELETE",
        schema.suppression: _RECORD,
        schema.consent_event: f"SELECT, INSERT, UPDATE ({_ERASE_CONSENT})",
        schema.consent_chain: _APPEND_CONSENT,
        schema.inbound_sms: "SELECT (phone_hash), DELETE",
        schema.app_session: _ERASE_AND_IMPORT_EVENTS,
        schema.purchase: _ERASE_AND_IMPORT_EVENTS,
        schema.refund: _ERASE_AND_IMPORT_EVENTS,
        schema.app_event: _LOG,  # a text shows what a customer likes most
        schema.item: _READ,
        schema.customer_activity: _ERASE_NUMBERS,
        schema.customer_bucket: _ERASE_SEGMENT,
        # a message of unknown outcome is settled
        schema.message: f"SELECT, UPDATE ({_SETTLE}, {_ERASE_MESSAGE})",
        schema.message_count: _RECORD,
        schema.campaign_lift: _READ,
        schema.offer_code: "SELECT, UPDATE (customer_id)",
        # when events arrived last, and which files were imported
        schema.intake_batch: "SELECT (owner, idempotency_key, accepted_at), INSERT",
        schema.event_id: _ADD,
        schema.alert: _ADD,
        schema.test_send: _LOG,  # a task sends what a page asks for
        schema.model: _READ,
        schema.text_proposal: _ADD,  # a task asks the model
        schema.message_text: f"SELECT, UPDATE ({_JUDGE_TEXT})",
        schema.customer_exclusion: _LOG,
        schema.odd_customer: "SELECT, DELETE",
        schema.archived_log: _READ,
        schema.archive_erasure: "INSERT",
    },
    ALERTS: {
        schema.alert: "SELECT, INSERT, UPDATE",
        schema.campaign: _READ,
        schema.explained_day: _READ,
    },
}
"""What each role may do with each table, in the words of GRANT. It has no right on any other table."""


def grant(conn: sa.Connection, version_table: str) -> list[str]:
    """Give each existing role its rights, and no others; returns the names of these roles. Idempotent."""
    name: sa.ColumnClause[str] = sa.column("rolname")
    roles = sorted(conn.execute(sa.select(name).select_from(sa.table("pg_roles")).where(name.in_(RIGHTS))).scalars())
    for role in roles:
        for table in schema.metadata.sorted_tables:
            run(conn, f"REVOKE ALL ON {table.name} FROM {role}")
            if rights := RIGHTS[role].get(table):
                run(conn, f"GRANT {rights} ON {table.name} TO {role}")
        run(conn, f"GRANT SELECT ON {version_table} TO {role}")
    if roles:
        partitions.share_results(conn)
    return roles
