"""The campaign: its record, segments, guard, approval, and what counts for it."""
