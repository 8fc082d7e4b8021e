"""From a campaign's list to the provider and back: queue, claims, outcomes, receipts."""
