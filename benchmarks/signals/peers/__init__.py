"""The servers of the peers. Each runs in its own environment, with a port as its argument."""
