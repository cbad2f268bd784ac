"""The service that binds the bus: forwards signals, hands chunks to workers, runs no user code."""
