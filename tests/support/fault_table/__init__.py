"""The fault table: what can go wrong by its id, one row a variant, and what has to come of it."""
