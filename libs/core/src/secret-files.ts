/** Whether a setting is worth hiding: a secret by its name, or an address with a password in it. */
export const isSecretSetting = (name: string, value: string): boolean =>
  /SECRET|PASSWORD|^BERTH_KEY$/.test(name) || /:\/\/[^/@\s]*:[^/@\s]+@/.test(value);

/** Of a file: its owner's uid and its mode, as `stat` gives them. */
export interface FileRights {
  readonly uid: number;
  readonly mode: number;
}

/**
 * What is wrong with the permissions of a file that holds secrets, and the command that fixes it. Undefined if nothing is. Only the owner may read or write it;
 * root's file may also be readable by its group.
 */
export function secretFileFault(path: string, { uid, mode }: FileRights): string | undefined {
  const rights = mode & 0o777;
  const allowed = uid === 0 ? 0o740 : 0o700;
  if ((rights & ~allowed) === 0) return undefined;
  return `${path} holds secrets and has mode ${rights.toString(8).padStart(3, "0")}, so others may read it; run: chmod 600 ${path}`;
}
