/**
 * Workgroups for `count` work items, `perGroup` to a workgroup, folded into a second dimension where one is too short.
 * The shader finds its item as `id.x + id.y * num_workgroups.x * perGroup` and must check it against the count.
 */
export function flatGrid(count: number, perGroup: number): readonly [x: number, y: number] {
  const groups = Math.ceil(count / perGroup);
  const x = Math.min(groups, 32768);
  return [x, Math.ceil(groups / x)];
}
