import type { RequestChecks } from "../../ports/request-checks.ts";
import { check } from "./check.ts";
import * as rules from "./requests.ts";
import { submitRequest } from "./task-spec.ts";

/** The checks by rules of zod. */
export const requestChecks: RequestChecks = {
  submitTask: (request, within) => check(submitRequest, request, within),
  submitTasks: (request) => check(rules.submitTasks, request),
  getTask: (request) => check(rules.byTaskId, request),
  explainTask: (request) => check(rules.byTaskId, request),
  listTasks: (request) => check(rules.listTasks, request),
  watchTasks: (request) => check(rules.watchTasks, request),
  readLog: (request) => check(rules.readLog, request),
  requestTasks: (request) => check(rules.requestTasks, request),
  updateTask: (request) => check(rules.updateTask, request),
  listFiles: (request) => check(rules.listFiles, request),
  getFile: (request) => check(rules.getFile, request),
  addFile: (request) => check(rules.addFile, request),
  login: (request) => check(rules.login, request),
  listKeys: (request) => check(rules.ownerOfKeys, request),
  revokeKey: (request) => check(rules.keyId, request),
  setUserDisabled: (request) => check(rules.setUserDisabled, request),
};
