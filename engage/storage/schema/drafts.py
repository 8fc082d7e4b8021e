"""The tables of texts that a model drafts, and of the requests for them. They hold nothing about a customer."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engage.statuses import ProposalStatus, TextSource, TextStatus
from engage.storage.schema.columns import metadata, moment, one_of

_LANGUAGE = "a language tag; empty for the text of all others"

text_proposal = sa.Table(
    "text_proposal",
    metadata,
    sa.Column("proposal_id", sa.Uuid, primary_key=True, comment="made by the page, so that a click counts once"),
    moment("requested_at", nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False, comment=_LANGUAGE),
    sa.Column("offer", sa.Text, nullable=False, comment="what the texts may promise, in the operator's words"),
    sa.Column("wanted", sa.SmallInteger, nullable=False, comment="texts asked for"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("model", sa.Text, comment="null until the model is asked"),
    sa.Column("note", sa.Text, comment="what was odd about the answer"),
    sa.Column("error", sa.Text, comment="why there are no texts; holds no secret"),
    moment("asked_at", comment="from when on the model may have the request"),
    moment("settled_at"),
    one_of("status", ProposalStatus),
    sa.CheckConstraint("(status = 'failed') = (error IS NOT NULL)", name="error"),
    sa.Index("text_proposal_requested_at_idx", "requested_at"),
    comment="One row per request for texts of a model.",
)

message_text = sa.Table(
    "message_text",
    metadata,
    sa.Column("message_text_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("proposal_id", sa.Uuid, sa.ForeignKey("text_proposal.proposal_id"), nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False, comment=_LANGUAGE),
    sa.Column("variant", sa.Text, comment="which of the segment's texts it became; null until it is approved"),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("drafted", sa.Text, nullable=False, comment="the text as the model wrote it"),
    sa.Column("source", sa.Text, nullable=False, comment="operator: an operator has edited it"),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("offer", sa.Text, nullable=False, comment="what it may promise"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("lint", JSONB, nullable=False, comment="why it may not be sent as it stands, in sentences"),
    sa.Column("proposed_by", sa.Text, nullable=False),
    moment("proposed_at", nullable=False),
    sa.Column("edited_by", sa.Text),
    moment("edited_at"),
    sa.Column("approved_by", sa.Text),
    moment("approved_at"),
    sa.Column("rejected_by", sa.Text),
    moment("rejected_at"),
    one_of("status", TextStatus),
    one_of("source", TextSource),
    # a text counts as approved only with the person who approved it, and if the checks find nothing
    sa.CheckConstraint("(status = 'approved') = (approved_by IS NOT NULL)", name="approved_by"),
    sa.CheckConstraint("(status = 'approved') = (approved_at IS NOT NULL)", name="approved_at"),
    sa.CheckConstraint("(status = 'approved') = (variant IS NOT NULL)", name="variant"),
    sa.CheckConstraint("(status = 'rejected') = (rejected_by IS NOT NULL)", name="rejected_by"),
    sa.CheckConstraint("(source = 'operator') = (edited_by IS NOT NULL)", name="edited_by"),
    sa.CheckConstraint(
        "CASE status WHEN 'refused' THEN lint <> '[]' WHEN 'rejected' THEN true ELSE lint = '[]' END", name="lint"
    ),
    sa.Index("message_text_segment_idx", "segment", "status"),
    comment="One row per text that a model has drafted, with the person who approved it. No sender reads it: an "
    "approved text is sent because the setting messages has it then.",
)
