import { createServer } from "node:http";
import { Counter, Gauge, Histogram, collectDefaultMetrics, register } from "prom-client";
import { listenOn } from "./address.ts";
import type { Closing } from "./closing.ts";
import type { Logger } from "./logger.ts";

/** Returns an existing metric, because several modules may use one. */
const once = <M>(name: string, make: () => M): M => (register.getSingleMetric(name) as M | undefined) ?? make();

/** Counts up. Names end in `_total`. */
export const counter = <L extends string = never>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> => once(name, () => new Counter({ name, help, labelNames }));

/** A current value; `collect` is called at each scrape. */
export const gauge = (name: string, help: string, collect: () => number): Gauge =>
  once(
    name,
    () =>
      new Gauge({
        name,
        help,
        collect() {
          this.set(collect());
        },
      }),
  );

/** Times, in seconds: from half a millisecond to half a minute. Names end in `_seconds`. */
export const histogram = <L extends string = never>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Histogram<L> =>
  once(
    name,
    () =>
      new Histogram({
        name,
        help,
        labelNames,
        buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      }),
  );

export interface MetricsOptions {
  /** `127.0.0.1:0` or `unix:/path`. */
  readonly address: string;
  readonly closing: Closing;
  readonly logger: Logger;
  /** Whether `/healthz` answers 200; else 503. */
  readonly healthy?: () => boolean;
}

/** Serves `/metrics` for Prometheus and `/healthz`; returns the address that it is bound to. */
export async function serveMetrics({
  address,
  closing,
  logger,
  healthy = () => true,
}: MetricsOptions): Promise<string> {
  // The default of 10 ms would wake each idle process a hundred times per second.
  if (!register.getSingleMetric("process_cpu_seconds_total"))
    collectDefaultMetrics({ eventLoopMonitoringPrecision: 500 });
  const server = createServer(async (request, response) => {
    if (request.url === "/healthz") {
      const well = healthy();
      response.writeHead(well ? 200 : 503, { "content-type": "text/plain" }).end(well ? "ok\n" : "not serving\n");
    } else if (request.url === "/metrics") {
      try {
        const text = await register.metrics();
        response.writeHead(200, { "content-type": register.contentType }).end(text);
      } catch (error) {
        logger.error("metrics could not be gathered", { error });
        response.writeHead(500).end();
      }
    } else {
      response.writeHead(404).end();
    }
  });
  const bound = await listenOn(server, address);
  closing.add(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return bound;
}
