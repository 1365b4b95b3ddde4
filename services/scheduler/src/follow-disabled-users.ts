import { AuthServiceService } from "@berth/contracts/auth";
import { grpcChannel, grpcClient, sleep } from "@berth/runtime";
import type { Closing, Logger, Trust } from "@berth/runtime";
import { DisabledUsers } from "./app/disabled-users.ts";
import type { Scheduler } from "./app/scheduler.ts";

/** Longer than auth takes to start at the same time as a scheduler. */
const firstAnswerMs = 5_000;

/** Follows auth's list until aborted. Resolves when the list is known or auth did not answer in time; immediately if no auth is configured. */
export async function followDisabledUsers(
  at: {
    /** Its address; may be empty. */
    readonly auth: string;
    readonly trust: Trust;
    readonly closing: Closing;
    readonly logger: Logger;
  },
  scheduler: Pick<Scheduler, "owners" | "setDisabledUsers">,
  signal: AbortSignal,
): Promise<void> {
  const { trust, closing, logger } = at;
  if (at.auth === "") return;
  const auth = grpcClient(AuthServiceService, grpcChannel(at.auth, { closing, ...trust.to("auth") }), {
    service: "auth",
    authorization: trust.authorization,
  });
  const disabled = new DisabledUsers({
    list: async (until) =>
      (await auth.listDisabledUsers({ among: scheduler.owners() }, { signal: until, deadlineMs: 5_000 })).users,
    changed: (users) => scheduler.setDisabledUsers(users),
    sleep,
    logger,
  });
  void disabled.run(signal);
  await disabled.firstAnswer(firstAnswerMs, signal);
}
