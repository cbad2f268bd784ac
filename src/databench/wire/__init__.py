"""The protocol of docs/protocol.md without any I/O: no sockets, no processes, no clock (time is an argument)."""
