"""How callers reach the gateway: one folder a protocol."""
