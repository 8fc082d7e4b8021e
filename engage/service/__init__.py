"""The public HTTP service: takes the app's events, customers' profiles and opt-outs, and the provider's webhooks."""
