"""What tests and demonstrations need of the other side: a local server, made on the spot.

It speaks HTTP with code of its own, so that the client is never its own witness, and uses the standard library only.
"""

from .certificate import Certificate
from .replies import Reply, Request, answer
from .server import LocalServer

__all__ = ["Certificate", "LocalServer", "Reply", "Request", "answer"]
