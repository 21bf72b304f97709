"""The names of the strategies that the configurations of tests may use."""

STRATEGIES = ("cost", "least_latency", "priority", "round_robin", "weighted")
