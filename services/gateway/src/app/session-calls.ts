import type * as api from "@berth/contracts/api";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { GrpcClient } from "@berth/runtime";
import type { ApiCaller, Caller, SessionCaller } from "../domain/caller.ts";
import { ownerOfKeys } from "../domain/caller.ts";
import type { RequestChecks } from "../ports/request-checks.ts";
import { unauthenticated } from "./sessions.ts";
import type { Sessions } from "./sessions.ts";

export interface SessionCallsDeps {
  readonly checks: RequestChecks;
  readonly auth: GrpcClient<AuthServiceService>;
  readonly sessions: Sessions;
}

/** Users, keys and sessions. Auth checks names, passwords and keys; the gateway only adds the caller. */
export function sessionCalls({ checks, auth, sessions }: SessionCallsDeps) {
  return {
    async login({ address }: ApiCaller, request: api.LoginRequest, signal: AbortSignal) {
      checks.login(request);
      const { user, password, key } = request;
      try {
        return await (key === ""
          ? auth.login({ user, password, address }, { signal })
          : auth.exchangeKey({ key }, { signal }));
      } catch (error) {
        throw unauthenticated(error);
      }
    },
    whoAmI: (caller: Caller, _request: object, signal: AbortSignal) => auth.getUser({ user: caller.user }, { signal }),
    createKey: (caller: SessionCaller, request: api.CreateKeyRequest, signal: AbortSignal) =>
      auth.createKey({ ...request, user: caller.user, byKeyId: caller.keyId }, { signal }),
    async listKeys(caller: Caller, request: api.ListKeysRequest, signal: AbortSignal) {
      checks.listKeys(request);
      return auth.listKeys({ user: ownerOfKeys(request.user, caller) }, { signal });
    },
    async revokeKey(caller: Caller, request: api.RevokeKeyRequest, signal: AbortSignal) {
      checks.revokeKey(request);
      const user = ownerOfKeys(request.user, caller);
      const answer = await auth.revokeKey({ user, id: request.id }, { signal });
      sessions.forgetKey(user, request.id);
      return answer;
    },
    async createUser(_caller: Caller, request: api.CreateUserRequest, signal: AbortSignal) {
      const { user } = await auth.createUser({ ...request, first: undefined }, { signal });
      const { key } = await auth.createKey({ user: user!.name, name: "first key", ttlMs: 0, byKeyId: "" }, { signal });
      return { user, key };
    },
    async setUserDisabled(caller: Caller, request: api.SetUserDisabledRequest, signal: AbortSignal) {
      checks.setUserDisabled(request);
      const answer = await auth.setUserDisabled({ ...request, by: caller.user }, { signal });
      sessions.forgetAll();
      return answer;
    },
    listVolumes: (caller: Caller, _request: object, signal: AbortSignal) =>
      auth.listVolumes({ user: caller.user }, { signal }),
  };
}
