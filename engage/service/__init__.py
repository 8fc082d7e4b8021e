"""The public HTTP service: app events in, customers' wishes, delivery receipts and replies in."""
