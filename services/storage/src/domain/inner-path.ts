import { AppError } from "@berth/core";

/** The parts of a path relative to a task's directory; none: the directory itself. Throws `invalid` PATH_OUTSIDE where it could lead out of it. */
export function innerPath(path: string, field = "path"): readonly string[] {
  const outside = (rule: string) =>
    new AppError("invalid", "PATH_OUTSIDE", `${field}: ${rule}`, { metadata: { field, rule } });
  if (path.includes("\0")) throw outside("must not contain a NUL");
  if (path.startsWith("/")) throw outside("must be relative to the task's directory");
  if (path.length > 4096) throw outside("is longer than 4096 characters");
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw outside("must not leave the task's directory");
  if (parts.some((part) => part.length > 255)) throw outside("has a name longer than 255 characters");
  return parts;
}

/** The same for a file, which has a name. */
export function innerFile(path: string, field = "path"): readonly string[] {
  const parts = innerPath(path, field);
  if (parts.length === 0 || path.endsWith("/"))
    throw new AppError("invalid", "PATH_OUTSIDE", `${field}: must name a file`, {
      metadata: { field, rule: "must name a file" },
    });
  return parts;
}
