"""What the gateway talks about: immutable values without I/O, protobuf or HTTP.

Everything here is a frozen msgspec Struct or an Enum, so values can be compared, shared between
tasks and used as keys. The wire forms live at the edges: `transport/grpc/mapping.py` for callers,
one module a dialect in `providers/` for upstreams.
"""
