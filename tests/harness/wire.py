"""How the fake endpoint's replies go onto the wire: heads, endless bodies, resets, TLS.

What lives here: the HTTP/1.1 and socket details. What does not: which reply is sent
(`tests.harness.endpoint`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import tempfile
import zlib
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from tests.harness.faults import Reply

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Reader(asyncio.StreamReader):
    """A stream reader that also tells when the client has gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read from a connection of this loop."""
        super().__init__(limit=2**20, loop=loop)
        self.gone: asyncio.Future[None] = loop.create_future()

    def feed_eof(self) -> None:
        """Note the end of the stream."""
        super().feed_eof()
        if not self.gone.done():
            self.gone.set_result(None)

    def set_exception(self, exc: Exception) -> None:
        """Note a lost connection."""
        super().set_exception(exc)
        if not self.gone.done():
            self.gone.set_result(None)

    async def pause(self, seconds: float | None) -> None:
        """Wait; end with ConnectionResetError when the client goes away first."""
        await asyncio.wait([self.gone], timeout=seconds)
        if self.gone.done():
            raise ConnectionResetError


def head(reply: Reply, request_id: str, length: int) -> bytes:
    """The status line and the headers of a reply."""
    headers = {"content-type": "application/json", "x-request-id": request_id}
    if reply.delivery in ("endless", "bomb"):
        headers["transfer-encoding"] = "chunked"
    else:
        headers["content-length"] = str(length)
    if reply.delivery == "bomb":
        headers["content-encoding"] = "gzip"
    headers.update(reply.headers)
    lines = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def send(
    reply: Reply, start: bytes, body: bytes, reader: Reader, writer: asyncio.StreamWriter
) -> bool:
    """Send head and body as the reply wants it; True when the kernel has taken all of it."""
    match reply.delivery:
        case "endless" | "bomb":
            await _pour(start, reader, writer, gzip=reply.delivery == "bomb")
        case "stall" | "truncated" | "cut":
            writer.write(start + body[: len(body) // 2])
            await writer.drain()
            if reply.delivery == "stall":
                await reader.pause(None)
            elif reply.delivery == "cut":
                reset(writer)
            else:
                writer.close()
            return False
        case "drip":
            writer.write(start)
            writer.write(body[:1])
            await writer.drain()
            for at in range(1, len(body)):
                await reader.pause(reply.interval)
                writer.write(body[at : at + 1])
                await writer.drain()
        case _:
            writer.write(start + body)
    await writer.drain()
    return True


async def _pour(start: bytes, reader: Reader, writer: asyncio.StreamWriter, *, gzip: bool) -> None:
    first, block = b'{"id": "chatcmpl-endless", "choices": [], "padding": "', b"x" * 2**16
    if gzip:  # a full flush ends on a byte and forgets what came before: the block may be repeated
        packer = zlib.compressobj(9, wbits=31)
        first = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
        block = 16 * (packer.compress(b"x" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH))
    writer.write(start + b"%x\r\n%b\r\n" % (len(first), first))
    chunk = b"%x\r\n%b\r\n" % (len(block), block)
    while True:
        writer.write(chunk)
        await writer.drain()
        await reader.pause(0.02)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: what the kernel still holds is dropped."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def untrusted() -> ssl.SSLContext:
    """A server context with a fresh self-signed certificate for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private.private_bytes(serialization.Encoding.PEM, *form))
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context
