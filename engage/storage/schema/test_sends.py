"""The table of test messages, which go to phones of the staff and are outside of every campaign."""

from __future__ import annotations

import sqlalchemy as sa

from engage.statuses import SendTestStatus
from engage.storage.schema.columns import metadata, moment, one_of

test_send = sa.Table(
    "test_send",
    metadata,
    sa.Column("test_send_id", sa.Uuid, primary_key=True, comment="made by the page, so that a click counts once"),
    moment("requested_at", nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("locale", sa.Text, nullable=False, comment="language of the text; empty for the one of all others"),
    sa.Column("variant", sa.Text, nullable=False, comment="which of the segment's texts"),
    sa.Column("phone_end", sa.Text, nullable=False, comment="last two digits of the number"),
    sa.Column("phone", sa.Text, comment="the number while the message waits; null afterwards"),
    sa.Column("body", sa.Text, comment="the text while the message waits; null afterwards"),
    sa.Column("phone_hash", sa.LargeBinary, comment="null while the message waits"),
    sa.Column("segments", sa.SmallInteger, nullable=False, comment="SMS segments of the body"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("provider", sa.Text),
    sa.Column("provider_message_id", sa.Text),
    sa.Column("error", sa.Text, comment="why it was not sent; holds no phone number"),
    moment("sent_at", comment="from when on the provider may have it"),
    moment("settled_at"),
    one_of("status", SendTestStatus),
    # what waits has a phone and a text, and nothing else keeps one
    sa.CheckConstraint("(status = 'waiting') = (phone IS NOT NULL)", name="phone"),
    sa.CheckConstraint("(status = 'waiting') = (body IS NOT NULL)", name="body"),
    sa.Index("test_send_requested_at_idx", "requested_at"),
    comment="One row per test message. It is in no ledger, count or cap, and holds no text once it is sent.",
)
