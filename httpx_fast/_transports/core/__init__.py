"""What stands below a transport for tools that know httpcore: `transport._pool`, and pools that libraries build on.

Requests of clients do not come by here, unless somebody has patched it. The messages have httpcore's shape, the work is
done by this package's own transports, and the exceptions are the clients'.
"""

from __future__ import annotations
