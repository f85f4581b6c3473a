"""REST: the native interface under /v1, with its OpenAPI document."""
