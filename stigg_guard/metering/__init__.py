"""What was used, and how it is reported; whether it was allowed is for `flow`."""
