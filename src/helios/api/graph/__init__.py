"""GraphQL: what the REST routes read, in one question.

`checking` refuses what would cost too much before anything is run, `loading` gathers the look-ups
of a request, `engine` runs it. The fields are in `schema.graphql`; only queries, no mutations.
"""
