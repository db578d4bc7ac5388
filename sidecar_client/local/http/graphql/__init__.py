"""`/graphql`: the operations of the vendor's GraphQL API that applications use.

The schema stands in `schema.graphql`; what the operations do lives in `management`.
"""
