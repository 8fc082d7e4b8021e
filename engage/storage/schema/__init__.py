"""The tables, as SQLAlchemy Core metadata. Each table's ``comment`` says what one row stands for.

Money is integer cents. Every time is ``timestamptz``, written and read as UTC.
Migrations build these tables; a test compares the two.
"""

from engage.storage.schema.archive import archive_erasure, archived_log
from engage.storage.schema.campaigns import (
    campaign,
    campaign_lift,
    customer_activity,
    customer_bucket,
    customer_history,
)
from engage.storage.schema.columns import metadata
from engage.storage.schema.customers import (
    NAME_WORDS,
    REVERSED_PHONE,
    consent_chain,
    consent_event,
    customer,
    inbound_sms,
    suppression,
)
from engage.storage.schema.days import daily_volume, explained_day
from engage.storage.schema.drafts import message_text, text_proposal
from engage.storage.schema.events import (
    EVENT_TIMES,
    FILE_KEY,
    LOG_TIMES,
    app_event,
    app_session,
    event_id,
    intake_batch,
    item,
    purchase,
    refund,
)
from engage.storage.schema.messages import message, message_count, offer_code
from engage.storage.schema.models import model
from engage.storage.schema.odd_customers import customer_exclusion, odd_customer
from engage.storage.schema.service import alert, api_key
from engage.storage.schema.sources import source_pull
from engage.storage.schema.test_sends import test_send

RESULTS = (customer_activity, customer_bucket, message)
"""The tables of campaigns, each with a partition per window."""

__all__ = [
    "EVENT_TIMES",
    "FILE_KEY",
    "LOG_TIMES",
    "NAME_WORDS",
    "RESULTS",
    "REVERSED_PHONE",
    "alert",
    "api_key",
    "app_event",
    "app_session",
    "archive_erasure",
    "archived_log",
    "campaign",
    "campaign_lift",
    "consent_chain",
    "consent_event",
    "customer",
    "customer_activity",
    "customer_bucket",
    "customer_exclusion",
    "customer_history",
    "daily_volume",
    "event_id",
    "explained_day",
    "inbound_sms",
    "intake_batch",
    "item",
    "message",
    "message_count",
    "message_text",
    "metadata",
    "model",
    "odd_customer",
    "offer_code",
    "purchase",
    "refund",
    "source_pull",
    "suppression",
    "test_send",
    "text_proposal",
]
