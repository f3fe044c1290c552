"""The demonstration: two requests to a server of this command's own, and where their time went."""

from __future__ import annotations

from .._client.client import Client
from .._encodings import load_codecs
from .._models import Response
from .arguments import Arguments
from .building import Builder
from .output import Output


def demonstrate(arguments: Arguments, output: Output) -> int:
    """Show the first response, and the timings of both requests."""
    from ..testing import LocalServer

    load_codecs()  # as in `command`
    with LocalServer() as server:
        arguments.url = f"{server.url}/"
        builder = Builder(arguments)
        settings = builder.settings()
        settings.update(verify=server.client_context(), trust_env=False)
        responses: list[Response] = []
        with Client(**settings) as client:
            first = client.send(builder.request(client))
            second = client.send(builder.request(client))
            for each in (first, second):
                responses += [*each.history, each]
    # All of it on standard output, in a pipe as well: there is nothing to pass on.
    arguments.include = True
    out = output.out
    output = Output(arguments, out, output.err)
    out.say(f"No URL given: asking a server of our own twice, {arguments.url}", "")
    output.show_heads(first)
    output.show_json(first, iter([first.content]))
    out.say("")
    out.draw([each.journey for each in responses], [f"{each.request.method} {each.status_code}" for each in responses])
    return 0
