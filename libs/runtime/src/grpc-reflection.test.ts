import { credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TaskServiceService } from "@berth/contracts/api";
import { Closing } from "./closing.ts";
import { reflectionServices } from "./grpc-reflection.ts";
import { bindService, serveGrpc } from "./grpc-server.ts";
import { silentLogger } from "./logger.ts";

/** Field 7 of a request: list services. Field 4: the file that holds a symbol. */
const listServices = Buffer.from([0x3a, 0x00]);
const fileOf = (symbol: string) => Buffer.concat([Buffer.from([0x22, symbol.length]), Buffer.from(symbol)]);

describe("server reflection", () => {
  let closing: Closing;
  beforeEach(() => void (closing = new Closing()));
  afterEach(() => closing.close());

  it("lists the services and describes them, in both versions of the protocol", async () => {
    const nothing = Object.fromEntries(
      Object.keys(TaskServiceService).map((name) => [name, () => Promise.reject(new Error("unused"))]),
    );
    const services = [bindService(TaskServiceService, nothing as never)];
    const { address } = await serveGrpc({
      admit: () => ({ user: "a test" }),
      address: "127.0.0.1:0",
      services,
      logger: silentLogger,
      closing,
    });
    for (const definition of reflectionServices) {
      const Client = makeGenericClientConstructor(definition, "");
      const client = new Client(address, credentials.createInsecure());
      const stream = client["serverReflectionInfo"]!() as NodeJS.ReadWriteStream & { write(bytes: Buffer): boolean };
      const answers: string[] = [];
      stream.write(listServices);
      stream.write(fileOf("berth.api.v1.TaskService"));
      stream.end();
      for await (const answer of stream) answers.push(answer.toString("latin1"));
      client.close();
      expect(answers[0]).toContain("berth.api.v1.TaskService");
      expect(answers[1]).toContain("berth/api/v1/task_service.proto");
    }
  });
});
