import { expect, it } from "vitest";
import { agentWords } from "./agent";

it.each([
  [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36",
    "Chrome on Linux",
  ],
  [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Firefox on macOS",
  ],
  [
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130 Safari/537.36 Edg/130.0",
    "Edge on Windows",
  ],
  ["curl/8.5.0", "curl"],
  ["thing/1", "thing/1"],
  ["", "unknown"],
])("calls %s %s", (agent, words) => {
  expect(agentWords(agent)).toBe(words);
});
