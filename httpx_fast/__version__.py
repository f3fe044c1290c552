"""Name and version of this package."""

__title__ = "httpx_fast"
__description__ = "An HTTP client with httpx's interface and C's cost."
__version__ = "0.1.0"
