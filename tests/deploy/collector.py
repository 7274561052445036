"""A collector of spans, which decodes what it gets with OpenTelemetry's own description of OTLP, and prints each span as
a line of JSON. Its first line is its port."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service


def plain(value):
    return getattr(value, value.WhichOneof("value"))


def attributes(pairs):
    keys = [pair.key for pair in pairs]
    assert len(keys) == len(set(keys)), f"an attribute twice in {keys}"
    return {pair.key: plain(pair.value) for pair in pairs}


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces", self.path
        assert self.headers["content-type"] == "application/x-protobuf"
        request = service.ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            about = attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    assert span.start_time_unix_nano <= span.end_time_unix_nano
                    told = {
                        "resource": about,
                        "scope": scope.scope.name,
                        "key": self.headers["x-key"],
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": span.kind,
                        "status": span.status.code,
                        "attributes": attributes(span.attributes),
                    }
                    print(json.dumps(told), flush=True)
        answer = service.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
# Ends with whoever started it.
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
