"""`python -m httpx_fast` is the command `httpx-fast`."""

from __future__ import annotations

import sys

from ._cli.command import main

sys.exit(main())
