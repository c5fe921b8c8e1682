/** The paths of a small line: pure geometry. */

const PAD = 1.5;

export function sparkPath(
  values: readonly number[],
  width: number,
  height: number,
): { line: string; area: string } {
  if (values.length === 0) return { line: "", area: "" };
  const low = Math.min(0, ...values);
  const high = Math.max(...values, low + 1e-9);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const points = values.map((value, index) => {
    const y = height - PAD - ((value - low) / (high - low)) * (height - 2 * PAD);
    return `${(index * step).toFixed(2)} ${y.toFixed(2)}`;
  });
  if (points.length === 1) points.push(`${width} ${points[0]?.split(" ")[1]}`);
  const line = `M${points.join("L")}`;
  return { line, area: `${line}L${width} ${height}L0 ${height}Z` };
}
