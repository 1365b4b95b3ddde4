import { describe, expect, it } from "vitest";
import { printable, renderTable } from "./table.ts";

const columns = [{ title: "ID" }, { title: "NAME", flexible: true }, { title: "CPU", align: "right" as const }];

describe("renderTable", () => {
  it("is as wide as it needs to be", () => {
    expect(
      renderTable(
        columns,
        [
          ["1", "a", "0.5"],
          ["100", "long name", "16"],
        ],
        80,
      ),
    ).toBe("ID   NAME       CPU\n1    a          0.5\n100  long name   16\n");
  });

  it("fits the terminal by cutting what may be cut", () => {
    const lines = renderTable(columns, [["1", "x".repeat(100), "1"]], 24).split("\n");
    expect(lines.every((line) => line.length <= 24)).toBe(true);
    expect(lines[1]).toMatch(/^1 {3}x+… +1$/);
  });

  it("lets nobody's name move the cursor", () => {
    expect(printable("a\u001b[2Jb\nc\u0007\u009b\u202eé")).toBe("a\\x1b[2Jb\\nc\\x07\\x9b\\u202eé");
    expect(renderTable(columns, [["1", "a\nb", "1"]], 80).split("\n")).toHaveLength(3);
  });
});
