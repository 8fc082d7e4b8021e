"""The tables of customers: profiles, phones that get no texts, and texts from customers."""

from __future__ import annotations

import sqlalchemy as sa

from engage.statuses import ConsentSource, ConsentState, SuppressionReason, TextClass
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

consent_chain = sa.Table(
    "consent_chain",
    metadata,
    sa.Column("chain", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("last_hash", sa.LargeBinary, nullable=False),
    comment="One row per hash chain of consent_event: its length and its last hash, so that a cut end shows. "
    "Its lock orders the writers.",
)

consent_event = sa.Table(
    "consent_event",
    metadata,
    sa.Column(
        "chain",
        sa.SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="by the customer, or by the phone if the change is the phone's",
    ),
    sa.Column(
        "number",
        sa.BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="place in the chain, from 1 on without a gap",
    ),
    sa.Column(
        "customer_id",
        sa.BigInteger,
        comment="null if the change is the phone's; a random negative number once the customer is erased",
    ),
    sa.Column(
        "phone_hash",
        sa.LargeBinary,
        comment="HMAC of the phone under ENGAGE_HASH_KEY; of a customer, the phone after the change",
    ),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("wording", sa.Text, comment="what the customer agreed to; null once it is blanked"),
    sa.Column(
        "evidence",
        sa.Text,
        comment="where the consent was given, the id of the text, or a reason; null once it is blanked",
    ),
    sa.Column("actor", sa.Text, comment="the API key, the user or the provider; null if the customer sent a text"),
    moment(
        "happened_at",
        nullable=False,
        comment="when the customer did it; it counts from then on, but not before recorded_at",
    ),
    moment("recorded_at", nullable=False),
    sa.Column("blanked", sa.BigInteger, comment="rows that this erasure has blanked"),
    sa.Column("salt", sa.LargeBinary, comment="random; null once the row is blanked"),
    sa.Column(
        "sealed",
        sa.LargeBinary,
        nullable=False,
        comment="hash of salt, customer_id, wording and evidence; stays when they are blanked",
    ),
    sa.Column("hash", sa.LargeBinary, nullable=False, comment="SHA-256 of the hash before it and of this row"),
    one_of("state", ConsentState),
    one_of("source", ConsentSource),
    sa.Index("consent_event_customer_id_idx", "customer_id", postgresql_where=sa.text("customer_id IS NOT NULL")),
    sa.Index("consent_event_phone_hash_idx", "phone_hash", postgresql_where=sa.text("phone_hash IS NOT NULL")),
    comment="One row per change of consent, of a customer or of a phone. Append-only: a trigger refuses changes, but "
    "for blanking by an erasure. Kept for good.",
)
