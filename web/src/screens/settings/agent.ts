/** The browser and system of a user agent, as people call them; what is unknown is told as it is. */
export function agentWords(agent: string): string {
  const browser = [
    [/\bEdg(?:e|A|iOS)?\//, "Edge"],
    [/\bOPR\//, "Opera"],
    [/\bFirefox\/|\bFxiOS\//, "Firefox"],
    [/\bHeadlessChrome\//, "Chrome (headless)"],
    [/\bChrome\/|\bCriOS\//, "Chrome"],
    [/\bSafari\//, "Safari"],
    [/^curl\//, "curl"],
    [/^helios/i, "helios on the command line"],
    [/^python-httpx/, "a Python program"],
  ].find(([pattern]) => (pattern as RegExp).test(agent))?.[1] as string | undefined;
  const system = [
    [/\biPhone\b|\biPad\b/, "iOS"],
    [/\bAndroid\b/, "Android"],
    [/\bWindows\b/, "Windows"],
    [/\bMac OS X\b/, "macOS"],
    [/\bLinux\b/, "Linux"],
  ].find(([pattern]) => (pattern as RegExp).test(agent))?.[1] as string | undefined;
  if (!browser) return agent.slice(0, 60) || "unknown";
  return system ? `${browser} on ${system}` : browser;
}
