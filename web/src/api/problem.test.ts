import { describe, expect, it } from "vitest";
import { ApiError, OfflineError, problemText, titledProblem } from "./problem";

const told = (body: object) => new ApiError(409, body, "PUT /x");

describe("a problem", () => {
  it("is said in one sentence, by its title where there is no more", () => {
    expect(problemText(told({ title: "Conflict", detail: "It has changed." }))).toBe(
      "It has changed.",
    );
    expect(problemText(told({ title: "Conflict" }))).toBe("Conflict");
    expect(problemText(told({}))).toBe("The server answered 409");
    expect(problemText(new OfflineError("GET /x"))).toContain("does not answer");
    expect(problemText("no")).toBe("no");
  });

  it("is said with its title where nothing else says what it is about, and never twice", () => {
    expect(titledProblem(told({ title: "Conflict", detail: "It has changed." }))).toBe(
      "Conflict: It has changed.",
    );
    expect(titledProblem(told({ title: "Conflict" }))).toBe("Conflict");
    expect(titledProblem(new Error("no"))).toBe("no");
  });
});
