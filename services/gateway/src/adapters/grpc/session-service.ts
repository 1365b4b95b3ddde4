import type { SessionServiceService } from "@berth/contracts/api";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { GrpcClient, ServiceImplementation } from "@berth/runtime";
import { unauthenticated } from "../../app/sessions.ts";
import type { Sessions } from "../../app/sessions.ts";
import { ownerOfKeys } from "../../domain/caller.ts";
import { check } from "../checks/check.ts";
import * as rules from "../checks/requests.ts";
import type { CallerContext } from "./access-middleware.ts";

/** Who are you. Auth checks names, passwords and keys; here is only who asks. */
export function sessionService(
  auth: GrpcClient<AuthServiceService>,
  sessions: Sessions,
): ServiceImplementation<SessionServiceService, CallerContext> {
  return {
    async login(request, { peer, signal }) {
      check(rules.login, request);
      const { user, password, key } = request;
      try {
        return await (key === ""
          ? auth.login({ user, password, address: addressOf(peer) }, { signal })
          : auth.exchangeKey({ key }, { signal }));
      } catch (error) {
        throw unauthenticated(error);
      }
    },
    whoAmI: (_, { caller, signal }) => auth.getUser({ user: caller.user }, { signal }),
    createKey: (request, { caller, signal }) =>
      auth.createKey({ ...request, user: caller.user, byKeyId: caller.keyId }, { signal }),
    async listKeys(request, { caller, signal }) {
      check(rules.ownerOfKeys, request);
      return auth.listKeys({ user: ownerOfKeys(request.user, caller) }, { signal });
    },
    async revokeKey(request, { caller, signal }) {
      check(rules.keyId, request);
      const user = ownerOfKeys(request.user, caller);
      const answer = await auth.revokeKey({ user, id: request.id }, { signal });
      sessions.forgetKey(user, request.id);
      return answer;
    },
    async createUser(request, { signal }) {
      const { user } = await auth.createUser({ ...request, first: undefined }, { signal });
      const { key } = await auth.createKey({ user: user!.name, name: "first key", ttlMs: 0, byKeyId: "" }, { signal });
      return { user, key };
    },
    async setUserDisabled(request, { caller, signal }) {
      check(rules.setUserDisabled, request);
      const answer = await auth.setUserDisabled({ ...request, by: caller.user }, { signal });
      sessions.forgetAll();
      return answer;
    },
    listVolumes: (_, { caller, signal }) => auth.listVolumes({ user: caller.user }, { signal }),
  };
}

/** gRPC's `10.0.0.1:4711` without the port; empty on a Unix socket. */
const addressOf = (peer: string): string => (/:\d+$/.test(peer) ? peer.replace(/:\d+$/, "") : "");
