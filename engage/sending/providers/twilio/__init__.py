"""Twilio: the account, handing messages over, its error numbers, and its receipts."""
