import { describe, expect, it } from "vitest";
import { type Approval, earlier } from "./approval-words";

const approval = (id: string, set: unknown, stack = "shop"): Approval =>
  ({
    approval_id: id,
    client_id: "acme",
    stack_id: stack,
    shown: { actions: [{ kind: "update_resource", target: "resource/a", params: { set } }] },
  }) as unknown as Approval;

describe("earlier questions", () => {
  it("are those about the same actions of the same stack", () => {
    const now = approval("4", { a: 1 });
    const all = [
      now,
      approval("3", { a: 1 }),
      approval("2", { a: 2 }),
      approval("1", { a: 1 }, "x"),
    ];
    expect(earlier(now, all).map((each) => each.approval_id)).toEqual(["3"]);
  });
});
