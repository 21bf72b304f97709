"""The Sentient bridge: the gateway's stream as the events of the Sentient Agent Framework.

A client of the public contract. `events` makes the framework's server-sent events of the stream,
`conversation` reads the framework's requests; both are pure. The framework itself is not needed.
"""
