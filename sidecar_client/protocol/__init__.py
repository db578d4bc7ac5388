"""The generated protocol code and the .proto it is made from (`make proto`).

Nothing here is written by hand but the .proto; the names a user needs are exported by
`sidecar_client`.
"""
