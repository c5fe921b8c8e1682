import { expect, it } from "vitest";
import type { Entry } from "./audit-queries";
import { actionWords, actorWords, changesOf, threadOf } from "./audit-words";

const entry = (change: Partial<Entry>) =>
  ({ entry_id: "e", position: 4, kind: "heal", action: "", target: "t", ...change }) as Entry;

it("calls actions as people do", () => {
  expect(actionWords("create_webhook")).toBe("create webhook");
  expect(actionWords("ApprovalGranted")).toBe("approval granted");
});

it("follows a heal, an answer to an approval, or else the event", () => {
  expect(threadOf(entry({}))).toEqual({ of: "heal", id: "e" });
  expect(threadOf(entry({ kind: "approval", action: "ApprovalGranted" }))).toEqual({
    of: "approval",
    id: "t",
  });
  expect(threadOf(entry({ kind: "command" }))).toEqual({ of: "event", id: "4" });
});

it("tells people from parts of Helios", () => {
  expect(actorWords("service:reconciler")).toEqual({ name: "reconciler", isService: true });
  expect(actorWords("user:ada")).toEqual({ name: "ada", isService: false });
});

it("shows what was before and is after", () => {
  expect(changesOf(entry({ changes_made: { url: ["a", "b"] } }))).toEqual([
    { field: "url", before: "a", after: "b" },
  ]);
});
