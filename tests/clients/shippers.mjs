// Sends lines that name themselves with a client of the field.
//
// usage: node shippers.mjs CLIENT HOST PORT TAG COUNT

import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// The packages lie where `scripts/needs test` puts them, not beside this file.
const require = createRequire(`${process.env.NODE_CLIENTS ?? import.meta.dirname}/package.json`);
const [client, host, port, tag, countText] = process.argv.slice(2);
const count = Number(countText);
const line = (number) => `vedette-${tag}-${String(number).padStart(5, "0")} something happened`;

/** A worker's transport does not keep Node alive; something has to, until it has sent everything. */
async function ended(transport) {
  const alive = setInterval(() => {}, 100);
  await new Promise((resolve) => { transport.on("close", resolve); transport.end(); });
  clearInterval(alive);
}

const clients = {
  async winston_splunk() {
    const winston = require("winston");
    const SplunkStreamEvent = require("winston-splunk-httplogger");
    const splunk = { host, port: Number(port), token: "unused", protocol: "http" };
    const transport = new SplunkStreamEvent({ splunk });
    let failed;
    transport.server.error = (error) => (failed = error);
    const logger = winston.createLogger({ transports: [transport] });
    // One request for each record, the next when the one before was answered. (Winston's own `end` loses what waits in its pipe.)
    const answered = new Promise((resolve) => {
      let left = count;
      transport.on("logged", () => --left === 0 && resolve());
    });
    for (let number = 0; number < count; number++) logger.info(line(number));
    await answered;
    if (failed) throw failed;
  },
  async winston_loki() {
    const winston = require("winston");
    const LokiTransport = require("winston-loki");
    const transport = new LokiTransport({ host: `http://${host}:${port}`, labels: { app: "shippers" }, json: false, interval: 1 });
    const logger = winston.createLogger({ transports: [transport] });
    for (let number = 0; number < count; number++) logger.info(line(number));
    await transport.flush();
    await sleep(3000);
  },
  async pino_loki() {
    const pino = require("pino");
    const target = require.resolve("pino-loki");
    const transport = pino.transport({ target, options: { host: `http://${host}:${port}`, labels: { app: "shippers" }, interval: 1 } });
    const logger = pino(transport);
    for (let number = 0; number < count; number++) logger.info(line(number));
    await new Promise((resolve) => logger.flush(resolve));
    await ended(transport);
  },
  async pino_otlp() {
    process.env.OTEL_EXPORTER_OTLP_LOGS_PROTOCOL = "http";
    process.env.OTEL_EXPORTER_OTLP_LOGS_ENDPOINT = `http://${host}:${port}/v1/logs`;
    const pino = require("pino");
    const target = require.resolve("pino-opentelemetry-transport");
    const options = { logRecordProcessorOptions: { recordProcessorType: "batch", exporterOptions: { protocol: "http" }, processorConfig: { maxQueueSize: 2 * count } } };
    const transport = pino.transport({ target, options });
    const logger = pino(transport);
    for (let number = 0; number < count; number++) logger.info(line(number));
    await new Promise((resolve) => logger.flush(resolve));
    await ended(transport);
  },
  async gelf_pro() {
    const gelf = require("gelf-pro");
    gelf.setConfig({ adapterName: "tcp", adapterOptions: { host, port: Number(port) } });
    for (let number = 0; number < count; number++) {
      await new Promise((resolve, reject) => gelf.info(line(number), {}, (error) => (error ? reject(error) : resolve())));
    }
  },
  async fluent() {
    const fluent = require("fluent-logger");
    const sender = fluent.createFluentSender("app", { host, port: Number(port), timeout: 30, requireAckResponse: true, eventMode: "PackedForward", flushInterval: 100 });
    // With acknowledgements: each record's callback is called when its chunk was. `end` waits for nothing.
    const emitted = Array.from({ length: count }, (_, number) => new Promise((resolve, reject) => {
      sender.emit("web", { message: line(number) }, (error) => (error ? reject(error) : resolve()));
    }));
    await Promise.all(emitted);
  },
};

await clients[client]();
process.exit(0);
