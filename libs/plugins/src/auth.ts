/**
 * The contract of an identity provider (GO-Docker's IAuthPlugin). A provider knows people and what the site lets them use; it issues no tokens and stores no
 * tasks. Methods throw only if the provider itself fails; a refusal is a return value.
 */
export interface AuthPlugin {
  /** local, ldap, oidc, or a site's own. */
  getName(): string;
  /** Who that is; undefined where name and password do not belong together, or the user may not log in. */
  bindCredentials(login: string, password: string): Promise<AuthUser | undefined>;
  /** Whose API key that is; undefined where it is unknown, revoked or out of date. The key names its owner. */
  bindApi(key: string): Promise<AuthUser | undefined>;
  /** One user; undefined where there is none. */
  getUser(login: string): Promise<AuthUser | undefined>;
  /**
   * The volumes a user gets. With `requested`, exactly those, in that order; throws AppError `invalid` UNKNOWN_VOLUME naming the one that is not on
   * offer. Without, all that the user may ask for.
   */
  getVolumes(user: AuthUser, requested?: readonly VolumeWish[]): Promise<readonly VolumeGrant[]>;
  /** Limits the provider knows of; zero means no limit. */
  getQuotas(id: string, kind: "user" | "project"): Promise<Quotas>;
  /** Whether a user may run this task. False rejects it at submit. */
  canRun(task: TaskToJudge): Promise<boolean>;
  /**
   * Login names of all disabled users, whose waiting tasks are not started meanwhile. A provider that cannot list them leaves this out, and is asked by
   * `getUser` for each owner of tasks.
   */
  disabledUsers?(): Promise<readonly string[]>;
}

/** A person or program known to the site. */
export interface AuthUser {
  /** [a-z_][a-z0-9_-]{0,31} */
  readonly name: string;
  /** Never 0 for a user made by Berth. */
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly role: "user" | "admin";
  /** Absolute path, or empty. */
  readonly home: string;
  readonly email: string;
  /** May neither log in nor run tasks. */
  readonly disabled: boolean;
  readonly createdAt: Date;
}

/** A named volume as the user asks for it. */
export interface VolumeWish {
  readonly name: string;
  /** Ask for read-only although the site would grant writing. */
  readonly readOnly: boolean;
}

/** A volume as the host mounts it. */
export interface VolumeGrant {
  readonly name: string;
  /** Path on the host. */
  readonly source: string;
  /** Path in the task. */
  readonly target: string;
  readonly readOnly: boolean;
}

export interface Quotas {
  /** 1 to 99. */
  readonly priority: number;
  readonly timeMs: number;
  readonly cpuMs: number;
  readonly memoryByteMs: number;
}

/** What a provider may judge a task by. */
export interface TaskToJudge {
  readonly user: AuthUser;
  readonly project: string;
  readonly image: string;
}
