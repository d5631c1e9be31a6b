# An event loop that serves lines over AF_UNIX: upper case comes back, "quit" ends it.
import asyncio
import os
import signal


async def serve(reader, writer):
    while line := await reader.readline():
        if line == b"quit\n":
            os.kill(os.getpid(), signal.SIGTERM)
            break
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def main():
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with await asyncio.start_unix_server(serve, "server.socket"):
        print("ready", flush=True)
        await end.wait()


asyncio.run(main())
