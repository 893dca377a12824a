"""Sends lines that name themselves with a client of the field.

usage: shippers.py CLIENT HOST PORT TAG COUNT
"""

import logging
import sys
import time


def lines(tag, count):
    return (f"vedette-{tag}-{number:05} something happened" for number in range(count))


def through_logging(handler, tag, count, pause=None):
    logger = logging.getLogger("vedette")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    for number, line in enumerate(lines(tag, count)):
        logger.info(line)
        if pause and number % pause[0] == 0:
            time.sleep(pause[1])
    logger.removeHandler(handler)
    handler.close()


def otlp(exporter, tag, count):
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": "shippers", "host.name": "web1"}))
    # The queue must hold what a burst brings: the SDK drops what does not fit.
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=2 * count))
    through_logging(LoggingHandler(logger_provider=provider), tag, count)
    assert provider.force_flush(120_000)
    provider.shutdown()


def otlp_grpc(host, port, tag, count):
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from grpc import Compression

    compression = Compression.Gzip if tag.endswith("gzip") else None
    otlp(OTLPLogExporter(endpoint=f"http://{host}:{port}", insecure=True, compression=compression), tag, count)


def otlp_http(host, port, tag, count):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    otlp(OTLPLogExporter(endpoint=f"http://{host}:{port}/v1/logs", compression=Compression.Gzip), tag, count)


def splunk(host, port, tag, count):
    from splunk_handler import SplunkHandler

    handler = SplunkHandler(host=host, port=port, token="unused", index="main", protocol="http", queue_size=0,
                            flush_interval=1, sourcetype="app", verify=False)
    through_logging(handler, tag, count)


def loki(host, port, tag, count):
    import logging_loki

    handler = logging_loki.LokiHandler(url=f"http://{host}:{port}/loki/api/v1/push", tags={"app": "shippers"}, version="1")
    through_logging(handler, tag, count)


def pygelf_udp(host, port, tag, count):
    from pygelf import GelfUdpHandler

    # UDP has no flow control: a careful sender pauses.
    through_logging(GelfUdpHandler(host=host, port=port, compress=True), tag, count, pause=(20, 0.002))


def graypy_udp(host, port, tag, count):
    import graypy

    # Chunks of 60 bytes make every message come in pieces.
    chunker = graypy.handler.GELFWarningChunker(chunk_size=60)
    handler = graypy.GELFUDPHandler(host, port, compress=False, gelf_chunker=chunker)
    through_logging(handler, tag, count, pause=(5, 0.002))


def pygelf_tcp(host, port, tag, count):
    from pygelf import GelfTcpHandler

    through_logging(GelfTcpHandler(host=host, port=port), tag, count)


def pygelf_http(host, port, tag, count):
    from pygelf import GelfHttpHandler

    # A connection for each record, and nobody waits for the answer: a careful sender pauses, as with UDP.
    through_logging(GelfHttpHandler(host=host, port=port, path="/gelf"), tag, count, pause=(10, 0.02))


def fluent(host, port, tag, count):
    from fluent import sender

    client = sender.FluentSender("app", host=host, port=port, nanosecond_precision=True)
    for line in lines(tag, count):
        assert client.emit("web", {"message": line, "n": 1.5}), client.last_error
    client.close()


def logstash(host, port, tag, count):
    from logstash_async.handler import AsynchronousLogstashHandler
    from logstash_async.transport import BeatsTransport

    transport = BeatsTransport(host, port, timeout=30, ssl_enable=False, ssl_verify=False, ssl_verify_flags=None, keyfile=None,
                               certfile=None, ca_certs=None)
    handler = AsynchronousLogstashHandler(host, port, database_path=None, transport=transport)
    through_logging(handler, tag, count)


if __name__ == "__main__":
    client, host, port, tag, count = sys.argv[1:]
    globals()[client](host, int(port), tag, int(count))
