import { join } from "node:path";
import { writeFileWhole } from "./cluster-file.ts";
import type { ClusterFile } from "./cluster-file.ts";
import type { Layout } from "./layout.ts";

/** Configuration of nats-server: users with generated passwords; an agent may use only its own subjects. */
export function writeNatsConfig(layout: Layout, cluster: ClusterFile, control: string, agent: string): string {
  // Virtual hosts share one account, because they run nothing real.
  const own = `berth.v1.host.${cluster.driver === "sim" ? "*" : cluster.hostId}`;
  const path = join(layout.secrets, "nats.conf");
  const quoted = (words: string[]) => words.map((w) => JSON.stringify(w)).join(", ");
  writeFileWhole(
    path,
    `# Made by berth up; made again at each start.
listen: "127.0.0.1:${cluster.natsPort}"
max_payload: 8388608
authorization {
  users = [
    { user: control, password: ${JSON.stringify(control)}, permissions: { publish: ["berth.v1.host.>", "_INBOX.>"], subscribe: ["berth.v1.host.>", "_INBOX.>"], allow_responses: true } }
    { user: agent, password: ${JSON.stringify(agent)}, permissions: {
        publish: [${quoted([`${own}.sync`, `${own}.report`])}]
        subscribe: [${quoted([`${own}.assign`, `${own}.wake`, `_INBOX_${cluster.hostId}.>`])}]
        allow_responses: true } }
  ]
}
`,
  );
  return path;
}
