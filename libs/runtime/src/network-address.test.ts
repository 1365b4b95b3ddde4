import { expect, it } from "vitest";
import { networkOf } from "./network-address.ts";

it("counts an IPv6 address with its /64, and an IPv4 address by itself however it is written", () => {
  expect(networkOf("10.1.2.3")).toBe("10.1.2.3");
  expect(networkOf("::ffff:10.1.2.3")).toBe("10.1.2.3");
  expect(networkOf("2001:db8:0:7::1")).toBe("2001:db8:0:7::/64");
  expect(networkOf("2001:0db8:0:7:aaaa:bbbb:cccc:dddd")).toBe("2001:db8:0:7::/64");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("this machine")).toBe("this machine");
});
