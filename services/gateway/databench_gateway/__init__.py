"""The service that serves pages and bridges browser WebSockets to the bus; never imports user code."""
