"""Transports and clients for other packages: their interface and their classes, with this package's connections.

`httpx_fast.integrations.httpx2` and `httpx_fast.integrations.httpx` have `FastTransport`, `AsyncFastTransport`,
`FastClient` and `AsyncFastClient`. Each is imported by itself, and only then its package is; what they share is in
`_bridge`, which imports neither. `opentelemetry` and `sentry` tell those of requests.
"""
