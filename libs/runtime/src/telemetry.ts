import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, context, trace } from "@opentelemetry/api";
import type { Attributes, Context, Span, Tracer } from "@opentelemetry/api";
import type { Closing } from "./closing.ts";

let on = false;

/** Whether tracing is on. Hot paths skip their spans if not. */
export const isTracing = (): boolean => on;

/**
 * Makes spans and sends them, in batches, by OTLP over HTTP. Does nothing without a URL: the SDK's import alone costs
 * 150 ms of cpu. Only `main.ts` calls it. Closing sends what is left.
 */
export async function startTelemetry(options: {
  readonly service: string;
  /** As `http://127.0.0.1:4318/v1/traces`. */
  readonly otlpUrl?: string | undefined;
  readonly closing: Closing;
}): Promise<void> {
  if (!options.otlpUrl) return;
  const [
    { BatchSpanProcessor, TracerProvider },
    { AsyncLocalStorageContextManager },
    { OTLPTraceExporter },
    { resourceFromAttributes },
  ] = await Promise.all([
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/context-async-hooks"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": `berth-${options.service}` }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: options.otlpUrl, timeoutMillis: 2_000 }),
        scheduledDelayMillis: 1_000,
      }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  on = true;
  options.closing.add(async () => {
    on = false;
    await provider.shutdown().catch(() => {}); // an unreachable receiver must not make a clean stop fail
    trace.disable();
    context.disable();
  });
}

export const tracer = (): Tracer => trace.getTracer("berth");

/** The active span as a W3C `traceparent`, for a task record or a header; undefined without one. */
export function traceparent(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  return span && `00-${span.traceId}-${span.spanId}-0${span.traceFlags & TraceFlags.SAMPLED}`;
}

/** Writes the active span into outgoing gRPC metadata or NATS headers. */
export function inject(carrier: { set(key: string, value: string): unknown }): void {
  const value = on ? traceparent() : undefined;
  if (value) carrier.set("traceparent", value);
}

/** The context that a `traceparent` names, to be the parent of a span; without a valid one there is no parent. */
export function extract(value: string | undefined): Context {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(value ?? "");
  if (!match) return ROOT_CONTEXT;
  const [, traceId, spanId, flags] = match as unknown as [string, string, string, string];
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

export interface SpanOptions {
  readonly kind?: "server" | "client" | "producer" | "consumer" | "internal";
  /** A `traceparent`; without the key, the active span is the parent. */
  readonly parent?: string | undefined;
  readonly attributes?: Attributes;
  /** When the span started, if before now. */
  readonly startTime?: Date;
}

/** Runs `fn` in a span of its own, ended with it; an error marks the span. Costs nothing while tracing is off. */
export async function withSpan<T>(
  name: string,
  options: SpanOptions,
  fn: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (!on) return fn(undefined);
  const { span, scope } = openSpan(name, options);
  try {
    return await context.with(scope, () => fn(span));
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** A span and the context in which it is active; the caller ends it. */
export function openSpan(name: string, options: SpanOptions): { readonly span: Span; readonly scope: Context } {
  const parent = "parent" in options ? extract(options.parent) : context.active();
  const kind = SpanKind[(options.kind ?? "internal").toUpperCase() as keyof typeof SpanKind];
  const span = tracer().startSpan(
    name,
    { kind, ...(options.attributes ? { attributes: options.attributes } : {}) },
    parent,
  );
  return { span, scope: trace.setSpan(parent, span) };
}

export function failSpan(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}
