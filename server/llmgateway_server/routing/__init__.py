"""Which target answers: routes, candidates, their state, and the order in which they are asked."""
