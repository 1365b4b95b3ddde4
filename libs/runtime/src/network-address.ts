import { isIPv6 } from "node:net";

/**
 * The key by which an address is counted: an IPv4 address itself, also if written as IPv6; an IPv6 address by its /64, because one machine may use every
 * address of that.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [plain = ""] = address.split("%", 1);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  const [front = "", back] = plain.split("::");
  const before = groupsOf(front);
  const after = groupsOf(back ?? "");
  const zeros = back === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

const groupsOf = (text: string): string[] => (text === "" ? [] : text.split(":"));
