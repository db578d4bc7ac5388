"""The management REST API under `/api/v1`, in the shape of the vendor's client `stigg`.

Only translation lives here: what is done is in `sidecar_client.local.management`.
"""
