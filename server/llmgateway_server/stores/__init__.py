"""Where answers are kept: adapters of the store port."""
