"""Texts that a model drafts, and the requests for them."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE text_proposal (
    proposal_id uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    segment text NOT NULL,
    language text NOT NULL,
    offer text NOT NULL,
    wanted smallint NOT NULL,
    status text NOT NULL,
    model text,
    note text,
    error text,
    asked_at timestamptz,
    settled_at timestamptz,
    CONSTRAINT text_proposal_pkey PRIMARY KEY (proposal_id),
    CONSTRAINT text_proposal_status_check CHECK (status IN ('waiting', 'asking', 'done', 'failed')),
    CONSTRAINT text_proposal_error_check CHECK ((status = 'failed') = (error IS NOT NULL))
);
CREATE INDEX text_proposal_requested_at_idx ON text_proposal (requested_at);
COMMENT ON TABLE text_proposal IS 'One row per request for texts of a model.';
COMMENT ON COLUMN text_proposal.proposal_id IS 'made by the page, so that a click counts once';
COMMENT ON COLUMN text_proposal.language IS 'a language tag; empty for the text of all others';
COMMENT ON COLUMN text_proposal.offer IS 'what the texts may promise, in the operator''s words';
COMMENT ON COLUMN text_proposal.wanted IS 'texts asked for';
COMMENT ON COLUMN text_proposal.model IS 'null until the model is asked';
COMMENT ON COLUMN text_proposal.note IS 'what was odd about the answer';
COMMENT ON COLUMN text_proposal.error IS 'why there are no texts; holds no secret';
COMMENT ON COLUMN text_proposal.asked_at IS 'from when on the model may have the request';

CREATE TABLE message_text (
    message_text_id bigint GENERATED ALWAYS AS IDENTITY,
    proposal_id uuid NOT NULL,
    segment text NOT NULL,
    language text NOT NULL,
    variant text,
    text text NOT NULL,
    drafted text NOT NULL,
    source text NOT NULL,
    model text NOT NULL,
    offer text NOT NULL,
    status text NOT NULL,
    lint jsonb NOT NULL,
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL,
    edited_by text,
    edited_at timestamptz,
    approved_by text,
    approved_at timestamptz,
    rejected_by text,
    rejected_at timestamptz,
    CONSTRAINT message_text_pkey PRIMARY KEY (message_text_id),
    CONSTRAINT message_text_proposal_id_fkey FOREIGN KEY (proposal_id) REFERENCES text_proposal (proposal_id),
    CONSTRAINT message_text_status_check CHECK (status IN ('draft', 'refused', 'approved', 'rejected')),
    CONSTRAINT message_text_source_check CHECK (source IN ('model', 'operator')),
    CONSTRAINT message_text_approved_by_check CHECK ((status = 'approved') = (approved_by IS NOT NULL)),
    CONSTRAINT message_text_approved_at_check CHECK ((status = 'approved') = (approved_at IS NOT NULL)),
    CONSTRAINT message_text_variant_check CHECK ((status = 'approved') = (variant IS NOT NULL)),
    CONSTRAINT message_text_rejected_by_check CHECK ((status = 'rejected') = (rejected_by IS NOT NULL)),
    CONSTRAINT message_text_edited_by_check CHECK ((source = 'operator') = (edited_by IS NOT NULL)),
    CONSTRAINT message_text_lint_check CHECK (
        CASE status WHEN 'refused' THEN lint <> '[]' WHEN 'rejected' THEN true ELSE lint = '[]' END
    )
);
CREATE INDEX message_text_segment_idx ON message_text (segment, status);
COMMENT ON TABLE message_text IS 'One row per text that a model has drafted, with the person who approved it. No sender reads it: an approved text is sent because the setting messages has it then.';
COMMENT ON COLUMN message_text.language IS 'a language tag; empty for the text of all others';
COMMENT ON COLUMN message_text.variant IS 'which of the segment''s texts it became; null until it is approved';
COMMENT ON COLUMN message_text.drafted IS 'the text as the model wrote it';
COMMENT ON COLUMN message_text.source IS 'operator: an operator has edited it';
COMMENT ON COLUMN message_text.offer IS 'what it may promise';
COMMENT ON COLUMN message_text.lint IS 'why it may not be sent as it stands, in sentences';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE message_text, text_proposal")
