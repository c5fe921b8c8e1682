/** A document as people read it: JSON that came in one line is indented, all else is as it was. Pure. */
export function printed(text: string): string {
  if (!/^\s*[{[]/.test(text) || text.trim().includes("\n")) return text;
  try {
    return `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
  } catch {
    return text;
  }
}
