"""Work done once for many: finished answers kept, identical calls in flight shared."""
