"""How the fake endpoint's replies go onto the wire: heads, endless bodies, resets, TLS.

What lives here: the HTTP/1.1 and socket details. What does not: which reply is sent
(`tests.harness.endpoint`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
import tempfile
import zlib
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

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
    """A server context with a certificate for 127.0.0.1 of an authority that nobody knows."""
    with tempfile.NamedTemporaryFile() as unused:
        return certified(Path(unused.name))


def certified(authority: Path) -> ssl.SSLContext:
    """A server context for 127.0.0.1; the file gets the certificate of its private authority.

    The certificates have all that newer Pythons, which check strictly, ask of them.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder(name("authority"), name(subject), public)
        made = made.serial_number(x509.random_serial_number())
        now = datetime.now(UTC)
        made = made.not_valid_before(now - timedelta(hours=1))
        made = made.not_valid_after(now + timedelta(days=1))
        own = x509.SubjectKeyIdentifier.from_public_key(public)
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        made = made.add_extension(own, critical=False).add_extension(by, critical=False)
        signs = subject == "authority"
        made = made.add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        purposes = ("digital_signature", "content_commitment", "key_encipherment")
        purposes += ("data_encipherment", "key_agreement", "encipher_only", "decipher_only")
        allowed = dict.fromkeys(purposes, False) | {"key_cert_sign": signs, "crl_sign": signs}
        allowed["digital_signature"] = True
        return made.add_extension(x509.KeyUsage(**allowed), critical=True)

    signer, private = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("authority", signer.public_key()).sign(signer, hashes.SHA256())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = certificate("127.0.0.1", private.public_key()).add_extension(here, critical=False)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private.private_bytes(serialization.Encoding.PEM, *form))
        signed = leaf.sign(signer, hashes.SHA256())
        file.write(signed.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context
