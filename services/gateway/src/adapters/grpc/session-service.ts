import type { SessionServiceService } from "@berth/contracts/api";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { GrpcClient, ServiceImplementation } from "@berth/runtime";
import { unauthenticated } from "../../app/sessions.ts";
import type { Sessions } from "../../app/sessions.ts";
import { check } from "../checks/check.ts";
import * as rules from "../checks/requests.ts";
import type { CallerContext } from "./access-middleware.ts";

/** Who are you. Auth checks names, passwords and keys; here is only who asks. */
export function sessionService(
  auth: GrpcClient<AuthServiceService>,
  sessions: Sessions,
): ServiceImplementation<SessionServiceService, CallerContext> {
  return {
    async login(request, { signal }) {
      check(rules.login, request);
      const { user, password, key } = request;
      try {
        return await (key === "" ? auth.login({ user, password }, { signal }) : auth.exchangeKey({ key }, { signal }));
      } catch (error) {
        throw unauthenticated(error);
      }
    },
    whoAmI: (_, { caller, signal }) => auth.getUser({ user: caller.user }, { signal }),
    createKey: (request, { caller, signal }) => auth.createKey({ ...request, user: caller.user }, { signal }),
    listKeys: (_, { caller, signal }) => auth.listKeys({ user: caller.user }, { signal }),
    async revokeKey(request, { caller, signal }) {
      check(rules.keyId, request);
      const answer = await auth.revokeKey({ user: caller.user, id: request.id }, { signal });
      sessions.forgetKey(request.id);
      return answer;
    },
    async createUser(request, { signal }) {
      const { user } = await auth.createUser(request, { signal });
      const { key } = await auth.createKey({ user: user!.name, name: "first key", ttlMs: 0 }, { signal });
      return { user, key };
    },
    listVolumes: (_, { caller, signal }) => auth.listVolumes({ user: caller.user }, { signal }),
  };
}
