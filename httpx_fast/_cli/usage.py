"""What is said to somebody whose command makes no sense: two lines, what is wrong and what would be right."""

from __future__ import annotations


class UsageError(Exception):
    """A command that makes no sense, or asks for what cannot be; `code` is the exit status."""

    def __init__(self, message: str, hint: str = "httpx-fast --help shows all options", code: int = 2) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code

    @property
    def lines(self) -> list[str]:
        return [f"httpx-fast: {self}", self.hint]
