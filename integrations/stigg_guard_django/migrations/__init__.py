"""The tables of the outbox, and how they changed from version to version."""
