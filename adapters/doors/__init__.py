"""Where clients come in: REST and WebSockets, in front of one or more trading partitions."""
