"""The pools of the peers. Each is imported in its own environment only."""
