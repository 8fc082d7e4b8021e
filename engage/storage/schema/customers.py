"""The tables of customers: profiles, phones that get no texts, and texts from customers."""

from __future__ import annotations

import sqlalchemy as sa

from engage.statuses import SuppressionReason, TextClass
from engage.storage.schema.columns import metadata, moment, one_of
from engage.texts.phone import E164

customer = sa.Table(
    "customer",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    moment("registered_at", nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text, comment="in the canonical form of E.164, or null"),
    sa.Column("phone_hash", sa.LargeBinary, comment="HMAC of phone under ENGAGE_HASH_KEY; null if phone is"),
    sa.Column("locale", sa.Text),
    sa.Column("time_zone", sa.Text, comment="IANA name"),
    moment("consent_at"),
    sa.Column("consent_source", sa.Text),
    moment("opted_out_at"),
    sa.Column("synthetic", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("(phone IS NULL) = (phone_hash IS NULL)", name="phone_hash"),
    sa.CheckConstraint(f"phone ~ '{E164}'", name="phone"),
    # an opt-out holds for all customers with the phone; few customers have one
    sa.Index("customer_opted_out_phone_hash_idx", "phone_hash", postgresql_where=sa.text("opted_out_at IS NOT NULL")),
    comment="One row per customer.",
)

NAME_WORDS = sa.func.to_tsvector(sa.text("'simple'"), customer.c.name)
"""The words of a customer's name, for a search."""
REVERSED_PHONE = sa.func.reverse(customer.c.phone)
"""A customer's phone from its last digit on, for a search by the last digits."""
sa.Index("customer_name_words_idx", NAME_WORDS, postgresql_using="gin")
sa.Index(
    "customer_phone_reversed_idx",
    REVERSED_PHONE.label("reversed"),
    postgresql_ops={"reversed": "text_pattern_ops"},
)

suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("phone_hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "reason",
        sa.Text,
        nullable=False,
        comment="stop: an opt-out by keyword or in the app; revocation: an opt-out in other words; "
        "provider: it refuses; dead_number: takes no texts; erasure: customer erased",
    ),
    sa.Column("source", sa.Text, nullable=False, comment="where the reason comes from"),
    moment("suppressed_at", nullable=False),
    one_of("reason", SuppressionReason),
    comment="One row per phone that gets no texts. A row outlives the customer's, and holds no phone number.",
)

inbound_sms = sa.Table(
    "inbound_sms",
    metadata,
    sa.Column("provider_message_id", sa.Text, primary_key=True),
    sa.Column("phone_hash", sa.LargeBinary, nullable=False),
    sa.Column("text_class", sa.Text, nullable=False, comment="the request; revocation: an opt-out in other words"),
    moment("received_at", nullable=False),
    one_of("text_class", TextClass),
    comment="One row per text from a customer, without its wording. Engage acts on each text once.",
)
