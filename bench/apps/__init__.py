"""A hello view in each framework, in the variants that are compared.

One variant per process, one route per application; `variant` says which it is.
"""
