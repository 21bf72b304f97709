"""State machines of calls that survive: pure, told the time, without I/O and timers."""
