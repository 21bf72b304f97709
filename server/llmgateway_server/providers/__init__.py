"""How the gateway reaches providers: one module a wire dialect, over one HTTP client.

The dialects know nothing of each other; what they share is `http` (the client) and
`eventstream` (the decoder of streamed answers).
"""
