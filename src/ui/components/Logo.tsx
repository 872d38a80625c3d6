/** The mark: a tall and a wide matrix (what a LoRA is) make an L, and a picture grows out of the corner. */
export function LogoMark({ size = 24 }: { readonly size?: number }) {
  const steps = [0, 1, 2];
  return (
    <svg className="logo-mark" width={size} height={size} viewBox="5 5 22 22" aria-hidden="true">
      <rect className="logo-bar" x="6" y="6" width="5" height="20" rx="2.5" />
      <rect className="logo-bar" x="13.5" y="21" width="12.5" height="5" rx="2.5" />
      {steps.flatMap((row) =>
        steps.map((column) => (
          <circle
            key={`${row}${column}`}
            className="logo-dot"
            cx={15.4 + 4.4 * column}
            cy={16.6 - 4.4 * row}
            r={[2, 1.55, 1.15, 0.8, 0.5][row + column]}
          />
        )),
      )}
    </svg>
  );
}

export function Logo() {
  return (
    <span className="logo">
      <LogoMark />
      <span className="wordmark">Loratory</span>
    </span>
  );
}
