"""An OpenEnv server of the standard library alone, that counts, and that breaks in the way that its first argument names.

openenv_server.py WAY [MARKER]: with a marker file it breaks in the process that finds none, and leaves one behind.
The port comes in PORT, as it does for real servers.
"""

import base64
import hashlib
import json
import os
import socketserver
import struct
import sys
import time

WAY = sys.argv[1]
MARKER = sys.argv[2] if len(sys.argv) > 2 else None
BREAKS_AT_STEP = 3
TEXT = {"type": "string"}
SCHEMA = {
    "action": {"properties": {"command": TEXT, "metadata": {"type": "object"}}},
    "observation": {"properties": {"text": TEXT, "info": {"type": "object"}, "done": {"type": "boolean"}}},
}


def breaks():
    if MARKER is None:
        return True
    if os.path.exists(MARKER):
        return False
    open(MARKER, "w").close()
    return True


class Handler(socketserver.StreamRequestHandler):
    n_sessions = 0

    def handle(self):
        while True:
            request = self.rfile.readline().decode().split()
            if len(request) < 2:
                return
            headers = {}
            while (line := self.rfile.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            if request[1] == "/ws":
                return self.serve_socket(headers)
            self.serve_page(request[1])

    def serve_page(self, path):
        pages = {"/health": {"status": "healthy"}, "/schema": SCHEMA, "/metadata": {"name": "counter"}}
        status, body = "200 OK", json.dumps(pages.get(path, {}))
        if WAY == "html":
            body = "<html>Welcome</html>"
        elif WAY == "unhealthy" and path == "/health":
            body = '{"status": "degraded"}'
        elif path not in pages or WAY == "old" and path == "/schema":
            status, body = "404 Not Found", "nothing here"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
        self.wfile.write((head + body).encode())

    def serve_socket(self, headers):
        if WAY == "no-websocket":
            self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        accept = hashlib.sha1((headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(accept) + b"\r\n\r\n"
        )
        is_full = WAY == "full" or WAY == "one-at-a-time" and Handler.n_sessions > 0
        if is_full:
            self.say({"type": "error", "data": {"message": "at capacity (1/1)", "code": "CAPACITY_REACHED"}})
        Handler.n_sessions += 1
        self.play()
        # Cleaning up takes a while; only then does a real server hang up.
        time.sleep(0.05)
        Handler.n_sessions -= 1

    def play(self):
        n_steps = None
        while (frame := self.read_frame()) is not None:
            opcode, payload = frame
            if opcode == 10:
                self.has_pong = True
                continue
            if opcode == 8:
                return
            try:
                message = json.loads(payload)
            except ValueError:
                self.say({"type": "error", "data": {"message": "Invalid JSON", "code": "INVALID_JSON"}})
                continue
            if message["type"] == "close":
                return
            if message["type"] == "reset":
                n_steps = 0
                if WAY == "pings":
                    # A server that hears no answer to its ping in time hangs up.
                    self.has_pong = False
                    self.write_frame(9, b"there?")
                self.observe("0", None, False)
                continue
            if n_steps is None or n_steps == 5:
                self.say({"type": "error", "data": {"message": "no episode is going on", "code": "EXECUTION_ERROR"}})
                continue
            n_steps += 1
            if WAY == "pings" and n_steps == 1 and not self.has_pong:
                # The answer to the ping comes before this step, on the same connection.
                return
            if n_steps == BREAKS_AT_STEP and breaks() and self.break_now():
                continue
            self.observe(f"{n_steps} {message['data']['command']}", 1.0 if n_steps == 5 else 0.0, n_steps == 5)

    def break_now(self):
        if WAY == "hangs":
            time.sleep(600)
        elif WAY == "dies":
            print("out of memory, or so", flush=True)
            os._exit(3)
        elif WAY == "hangs-up":
            self.write_frame(8, struct.pack(">H", 1011) + b"tired")
        elif WAY == "binary":
            self.write_frame(2, b"\x00\x01")
        elif WAY == "no-json":
            self.write_frame(1, b"Internal Server Error")
        elif WAY == "too-long":
            self.write_frame(1, b"x" * 3_000_000)
        elif WAY == "refuses":
            self.say({"type": "error", "data": {"message": "the lamp is broken", "code": "EXECUTION_ERROR"}})
        elif WAY == "no-text":
            self.say({"type": "observation", "data": {"observation": {"text": 3}, "reward": 0.0, "done": False}})
        else:
            return False
        return True

    def observe(self, text, reward, done):
        self.say({"type": "observation", "data": {"observation": {"text": text}, "reward": reward, "done": done}})

    def say(self, message):
        self.write_frame(1, json.dumps(message).encode())

    def write_frame(self, opcode, payload):
        n = len(payload)
        size = bytes([n]) if n < 126 else struct.pack(">BH", 126, n) if n < 65536 else struct.pack(">BQ", 127, n)
        self.wfile.write(bytes([0x80 | opcode]) + size + payload)

    def read_frame(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", self.rfile.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.rfile.read(8))[0]
        mask = self.rfile.read(4)
        payload = self.rfile.read(size)
        return head[0] & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if WAY == "exits-at-start":
    print("ModuleNotFoundError: No module named 'openenv'", file=sys.stderr)
    sys.exit(1)
if WAY == "never-listens":
    print("warming up", file=sys.stderr, flush=True)
    time.sleep(600)
with Server(("127.0.0.1", int(os.environ["PORT"])), Handler) as server:
    server.serve_forever()
