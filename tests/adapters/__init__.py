"""Adapters for other frameworks, as their users would write them."""
