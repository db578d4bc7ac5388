"""The commands about an application's outbox, the same in every front end.

They need click. How a front end finds its guard is `source`; Django's and Flask's front
ends are in their adapters.
"""
