"""The WebSocket door: market data and own orders pushed, orders entered one by one and in batches. See docs/websocket.md."""
