"""Coinbase Exchange's dialect, for clients that speak it: REST under /coinbase, and its WebSocket feed."""
