/**
 * Our own rules, loaded by oxlint itself, hence plain JavaScript: the table of boundaries, and `synchronous` for code
 * that must be pure, since built-in rules cannot ban `await` or `new Date()`.
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { boundaries as table } from "./boundaries.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** The path inside the tree; the rules' own test lints a small tree elsewhere, from its root. */
const inTree = (path, cwd) => relative(path.startsWith(root) ? root : cwd, path);

const allows = (patterns, name) => patterns.some((pattern) => pattern.test(name));

const boundaries = {
  create(context) {
    const file = inTree(context.filename, context.cwd);
    const row = table.find(({ files }) => files.test(file));
    if (!row) return {};
    const check = (node) => {
      const name = node.source?.value;
      if (typeof name !== "string" || allows(row.may, name)) return;
      if ((node.importKind === "type" || node.exportKind === "type") && allows(row.types, name)) return;
      context.report({ node: node.source, message: `${name}: ${row.else}` });
    };
    return {
      ImportDeclaration: check,
      ExportAllDeclaration: check,
      ExportNamedDeclaration: check,
      ImportExpression: check,
      TSImportType: (node) => check({ source: node.source ?? node.argument?.literal ?? node.argument }),
    };
  },
};

const banned = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "process",
  "fetch",
  "performance",
]);

const synchronous = {
  create(context) {
    const tell = (message) => (node) => context.report({ node, message });
    const noWait = tell("domain code is synchronous: return what to do, and let app or an adapter wait for it");
    const noWaiting = (node) => void (node.async && noWait(node));
    return {
      AwaitExpression: noWait,
      FunctionDeclaration: noWaiting,
      FunctionExpression: noWaiting,
      ArrowFunctionExpression: noWaiting,
      NewExpression(node) {
        if (node.callee.name !== "Date" || node.arguments.length > 0) return;
        context.report({ node, message: "domain code has no clock: take `now` as an argument" });
      },
      Identifier(node) {
        if (!banned.has(node.name) || isName(node)) return;
        context.report({ node, message: `domain code has no ${node.name}: it gets values and returns values` });
      },
    };
  },
};

/** A key or a member of that name (`task.process`) is not the global. */
function isName(node) {
  const { parent } = node;
  if (parent?.type === "MemberExpression") return !parent.computed && parent.property === node;
  if (/^(TSPropertySignature|TSMethodSignature|PropertyDefinition|MethodDefinition)$/.test(parent?.type)) return true;
  return parent?.type === "Property" && !parent.computed && !parent.shorthand && parent.key === node;
}

export default { meta: { name: "berth" }, rules: { boundaries, synchronous } };
