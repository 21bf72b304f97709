"""The use case: resolve a request to a target, ask it, and watch over the answer."""
