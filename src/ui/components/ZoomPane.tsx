import { type ReactNode, useEffect, useRef, useState } from 'react';

interface ZoomPaneProps {
  /** Of the picture, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly label: string;
  /** The arrow keys while all of the picture is seen: -1 or 1. */
  readonly onStep: (delta: number) => void;
  readonly children: ReactNode;
}

interface View {
  readonly scale: number;
  /** Of the picture's middle from the pane's, in CSS pixels. */
  readonly x: number;
  readonly y: number;
}

const fitted: View = { scale: 1, x: 0, y: 0 };
const largest = 16;

/** Keeps the point under the pointer where it is. */
function zoomedAt(view: View, factor: number, px: number, py: number): View {
  const scale = Math.min(largest, Math.max(1, view.scale * factor));
  if (scale === 1) return fitted;
  const ratio = scale / view.scale;
  return { scale, x: px - (px - view.x) * ratio, y: py - (py - view.y) * ratio };
}

/** A picture fitted into the pane. The wheel zooms, dragging moves, a double click goes back; keys: + - 0 and the arrows. */
export function ZoomPane({ width, height, label, onStep, children }: ZoomPaneProps) {
  const [view, setView] = useState(fitted);
  const pane = useRef<HTMLDivElement>(null);
  const drag = useRef<{ readonly x: number; readonly y: number } | null>(null);

  useEffect(() => {
    const element = pane.current;
    if (element === null) return undefined;
    // React listens to wheels passively, and then the page would scroll along.
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
      setView((now) => zoomedAt(now, Math.exp(-event.deltaY / 300), px, py));
    };
    element.addEventListener('wheel', wheel, { passive: false });
    return () => element.removeEventListener('wheel', wheel);
  }, []);

  const keyPressed = (event: React.KeyboardEvent): void => {
    const moves: Record<string, readonly [number, number]> = {
      ArrowLeft: [60, 0],
      ArrowRight: [-60, 0],
      ArrowUp: [0, 60],
      ArrowDown: [0, -60],
    };
    const move = moves[event.key];
    if (event.key === '+' || event.key === '=') setView((now) => zoomedAt(now, 1.25, 0, 0));
    else if (event.key === '-') setView((now) => zoomedAt(now, 0.8, 0, 0));
    else if (event.key === '0') setView(fitted);
    else if (event.target !== event.currentTarget) return;
    else if (move && view.scale > 1) setView((now) => ({ ...now, x: now.x + move[0], y: now.y + move[1] }));
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') onStep(event.key === 'ArrowLeft' ? -1 : 1);
    else return;
    event.preventDefault();
  };
  const zoomed = view.scale > 1;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- zooming has no element of its own
    <div
      ref={pane}
      className={zoomed ? 'zoom zoom-in' : 'zoom'}
      // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- a fieldset cannot be the container that sizes are taken of
      role="group"
      aria-label={`${label}. Plus and minus zoom, 0 fits.`}
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- keys zoom and move, though it is no control of its own
      tabIndex={0}
      onKeyDown={keyPressed}
      onDoubleClick={() => setView(zoomed ? fitted : { scale: 2, x: 0, y: 0 })}
      onPointerDown={(event) => {
        if (!zoomed || event.button !== 0) return;
        drag.current = { x: event.clientX - view.x, y: event.clientY - view.y };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        const start = drag.current;
        if (start !== null) setView((now) => ({ ...now, x: event.clientX - start.x, y: event.clientY - start.y }));
      }}
      onPointerUp={() => {
        drag.current = null;
      }}
    >
      <div
        className="fit"
        style={
          {
            '--ratio': width / height,
            transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`,
          } as React.CSSProperties
        }
      >
        {children}
      </div>
      {zoomed && (
        <button type="button" className="zoom-chip" onClick={() => setView(fitted)}>
          {Math.round(view.scale * 100)} % · fit
        </button>
      )}
    </div>
  );
}
