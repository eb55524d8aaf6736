"""A server of one film over RTSP (RFC 2326), as cameras are: over TCP, in MPEG-TS (RFC 2250)."""

import io
import socket
import struct
from fractions import Fraction
from threading import Thread

import av
import numpy as np
from av.video.frame import VideoFrame

PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=film\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 33\r\na=control:track1\r\n"
)
ANSWERS = {
    "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}",
    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n",
    "PLAY": "Session: 1\r\n\r\n",
    "OPTIONS": f"Public: {PUBLIC}\r\n\r\n",
}
PACKETS = 7 * 188


def transport_stream(num_frames: int, width: int, height: int) -> bytes:
    """A short film as MPEG-TS."""
    held = io.BytesIO()
    with av.open(held, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for n in range(num_frames):
            frame = VideoFrame.from_ndarray(np.full((height, width, 3), 5 * n, np.uint8))
            frame.pts, frame.time_base = n, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return held.getvalue()


def served_once(film: bytes, port: int = 0) -> int:
    """Serves a film to the first who plays it, and is gone, as if it was killed; gives its port."""
    listening = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        with listening:
            connection, _ = listening.accept()
        with connection:
            while _answered(connection) != "PLAY":
                pass
            for n, at in enumerate(range(0, len(film), PACKETS)):
                packet = struct.pack(">BBHII", 0x80, 33, n, 90 * n, 1) + film[at : at + PACKETS]
                connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)

    Thread(target=serve, daemon=True).start()
    return listening.getsockname()[1]


def _answered(connection: socket.socket) -> str:
    """Answers one request; its method."""
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += connection.recv(4096)
    lines = said.decode().split("\r\n")
    method = lines[0].split()[0]
    number = next(line for line in lines if line.lower().startswith("cseq"))
    connection.sendall(f"RTSP/1.0 200 OK\r\n{number}\r\n{ANSWERS[method]}".encode())
    return method
