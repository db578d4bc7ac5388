"""What was used: held before the view, measured after it, delivered or kept.

Whether a request was allowed is for `flow`; how a call looks on the wire, `sidecar`.
"""
