"""ACME under another authority's address: its directory URL leads to pebble's; all else passes through unchanged.

A program for the lab's `acme` host: `directory_door.py PATH`. Pebble builds its URLs from the Host field and
checks signed URLs against it (RFC 8555 §6.4), so that only the directory's own path needs translating.
"""

import http.client
import http.server
import ssl
import sys

PEBBLE = ("localhost", 14000)
PEBBLES_DIRECTORY = "/dir"
# What belongs to one connection, and is set anew on the other (RFC 9110 §7.6.1).
HOP_FIELDS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = PEBBLES_DIRECTORY if self.path == sys.argv[1] else self.path
        pebble = http.client.HTTPSConnection(*PEBBLE, context=ssl.create_default_context(), timeout=30)
        fields = {name: value for name, value in self.headers.items() if name.lower() not in HOP_FIELDS}
        pebble.request(self.command, path, body or None, fields)
        reply = pebble.getresponse()
        content = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in HOP_FIELDS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        pebble.close()

    do_GET = do_HEAD = do_POST = answer  # noqa: N815 the standard library asks for these names


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/etc/pebble/cert.pem", "/etc/pebble/key.pem")
    server = http.server.ThreadingHTTPServer(("", 443), Door)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
