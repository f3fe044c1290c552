"""Sending requests again: settings, decisions, and what is known of each origin.

- `settings` is what users write. It is frozen and can be pickled; nothing of it changes while requests are sent.
- `backoff`, `budget`, `breaker`, `latency` and `decision` decide, without I/O: they are told the time and given random
  numbers. `origins` keeps what they know of each origin.
- `retrier` carries decisions out, written once for blocking and asynchronous code. `waits` and `race` are what those
  two differ in.

A request is sent again around one exchange: redirects, authentication, hooks and cookies are above it, and see the last
answer only.
"""
