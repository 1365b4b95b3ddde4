import { readFileSync, statSync } from "node:fs";
import { AppError, repeatedKey } from "@berth/core";
import { z } from "zod";
import type { SiteVolume } from "../../domain/volumes.ts";

const template = z.string().regex(/^[/$]/, "must be an absolute path, or begin with $HOME");

const volume = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "must be a name of [A-Za-z0-9._-], at most 64 characters"),
  path: template,
  mount: template.optional(),
  mode: z.enum(["ro", "rw"]),
});

const volumeList = z.array(volume).superRefine((list, context) => {
  const names = new Set<string>();
  list.forEach(({ name }, at) => {
    if (names.has(name)) context.addIssue({ code: "custom", path: [at, "name"], message: `${name} is there twice` });
    names.add(name);
  });
});

/**
 * The site's volumes, read again when the file changes. A file that is wrong at the start is an error (`invalid` VOLUMES_FILE_INVALID); one that becomes
 * wrong later is reported through `onFault` and the last good list stays in force. Without a path there are no volumes.
 */
export function volumesFile(path: string | undefined, onFault: (error: AppError) => void): () => readonly SiteVolume[] {
  if (path === undefined) return () => [];
  let stamp = stampOf(path);
  let volumes = read(path);
  return () => {
    const now = stampOf(path);
    if (now !== stamp) {
      stamp = now;
      try {
        volumes = read(path);
      } catch (error) {
        onFault(AppError.from(error));
      }
    }
    return volumes;
  };
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : "missing";
}

function read(path: string): SiteVolume[] {
  let json: unknown;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError(
      "invalid",
      "VOLUMES_FILE_INVALID",
      `${path}: ${cause instanceof Error ? cause.message : "cannot be read"}`,
      { cause },
    );
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw new AppError("invalid", "VOLUMES_FILE_INVALID", `${path}: ${twice}: is given twice`);
  const parsed = volumeList.safeParse(json);
  if (parsed.success) return parsed.data.map((v) => ({ ...v, mount: v.mount ?? `/mnt/${v.name}` }));
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "list"}: ${issue.message}`);
  throw new AppError("invalid", "VOLUMES_FILE_INVALID", `${path}: ${faults.join("; ")}`);
}
