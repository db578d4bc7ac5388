"""The Django application: an email marketing product that is sold in three plans.

Where it asks for features: `views`, `api`, and the rules in `settings`.
"""
