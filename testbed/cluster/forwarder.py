"""Copies bytes between a listening socket of the machine and an address in the cluster's network namespace.

It runs in the namespace, so that connections it opens are the namespace's, and is handed a socket that was opened
outside of it as descriptor 3, which stays the machine's:  python forwarder.py <address> <port>
"""

import asyncio
import contextlib
import socket
import sys


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()  # the other direction may go on


async def _serve(listener: socket.socket, address: str, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(address, port), timeout=10)
        except (OSError, TimeoutError) as error:
            print(f"{address}:{port}: {error}", file=sys.stderr, flush=True)
            writer.transport.abort()  # a reset, as the far end would have sent
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        far_writer.close()
        writer.close()

    server = await asyncio.start_server(connected, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(socket.socket(fileno=3), sys.argv[1], int(sys.argv[2])))
