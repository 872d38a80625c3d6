import { Brush, Contrast, Eraser, Redo2, Trash2, Undo2 } from 'lucide-react';
import { Slider } from 'radix-ui';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { Hint } from './Info.tsx';
import { maskBlob, type MaskStroke, paintMask, paintStroke } from './maskStrokes.ts';

interface MaskPainterProps {
  readonly image: Blob;
  readonly width: number;
  readonly height: number;
  /** What was painted before: white on black, or null. */
  readonly mask: Blob | null;
  /** What a painted place means, e.g. `is drawn again`. */
  readonly meaning: string;
  /** After every stroke, at once: the file itself takes a moment. Null once nothing is painted. */
  readonly onChange: (mask: Promise<Blob | null>) => void;
}

/** Seen over the picture; the page's accent, half transparent. */
const overlay = '#12b59a';

/**
 * A mask brushed over a picture. The mouse or a pen paints; the keyboard does too: arrows move the brush, Space paints, `[` and `]` change
 * its size, E erases, Ctrl+Z undoes.
 */
export function MaskPainter({ image, width, height, mask, meaning, onChange }: MaskPainterProps) {
  const [strokes, setStrokes] = useState<readonly MaskStroke[]>([]);
  const [undone, setUndone] = useState<readonly MaskStroke[]>([]);
  const [base, setBase] = useState<ImageBitmap | null>(null);
  const [erases, setErases] = useState(false);
  const [size, setSize] = useState(Math.max(4, Math.round(Math.max(width, height) / 12)));
  const [cursor, setCursor] = useState<readonly [number, number] | null>(null);
  const [picture, setPicture] = useState<ImageBitmap | null>(null);
  const first = useRef(mask);
  const canvas = useRef<HTMLCanvasElement>(null);
  const stroke = useRef<MaskStroke | null>(null);

  useEffect(() => {
    let isOpen = true;
    void createImageBitmap(image).then((bitmap) => isOpen && setPicture(bitmap));
    if (first.current !== null) void createImageBitmap(first.current).then((bitmap) => isOpen && setBase(bitmap));
    return () => {
      isOpen = false;
    };
  }, [image]);

  // Painted once a stroke; what is being drawn goes on a copy.
  const painted = useMemo(() => paintMask(width, height, base, strokes), [width, height, base, strokes]);
  const show = useCallback(
    (extra: MaskStroke | null): void => {
      const context = canvas.current?.getContext('2d');
      if (!context) return;
      const tinted = new OffscreenCanvas(width, height);
      const tint = tinted.getContext('2d');
      if (!tint) return;
      tint.drawImage(painted, 0, 0);
      if (extra !== null) paintStroke(tint, extra, '#fff');
      tint.globalCompositeOperation = 'source-in';
      tint.fillStyle = overlay;
      tint.fillRect(0, 0, width, height);
      context.clearRect(0, 0, width, height);
      if (picture !== null) context.drawImage(picture, 0, 0, width, height);
      context.globalAlpha = 0.6;
      context.drawImage(tinted, 0, 0);
      context.globalAlpha = 1;
    },
    [painted, picture, width, height],
  );
  useEffect(() => show(null), [show]);

  const settle = (next: readonly MaskStroke[], from: ImageBitmap | null = base): void => {
    setStrokes(next);
    onChange(maskBlob(paintMask(width, height, from, next)));
  };
  const finish = (done: MaskStroke): void => {
    setUndone([]);
    settle([...strokes, done]);
  };
  const undo = (): void => {
    const last = strokes.at(-1);
    if (last === undefined) return;
    setUndone([...undone, last]);
    settle(strokes.slice(0, -1));
  };
  const redo = (): void => {
    const last = undone.at(-1);
    if (last === undefined) return;
    setUndone(undone.slice(0, -1));
    settle([...strokes, last]);
  };
  const clear = (): void => {
    setBase(null);
    setUndone([]);
    settle([], null);
  };
  const invert = async (): Promise<void> => {
    const inverted = await maskBlob(painted, true);
    const bitmap = inverted === null ? null : await createImageBitmap(inverted);
    setBase(bitmap);
    setUndone([]);
    settle([], bitmap);
  };
  const pointOf = (event: React.PointerEvent<HTMLCanvasElement>): readonly [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
  };
  const keyPressed = (event: React.KeyboardEvent): void => {
    const step = Math.max(1, size / 2);
    const moves: Record<string, readonly [number, number]> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[event.key];
    const [x, y] = cursor ?? [width / 2, height / 2];
    if (event.ctrlKey || event.metaKey) {
      if (event.key === 'z') undo();
      else if (event.key === 'y') redo();
      else return;
    } else if (move) setCursor([Math.min(width, Math.max(0, x + move[0])), Math.min(height, Math.max(0, y + move[1]))]);
    else if (event.key === ' ') finish({ erases, size, points: [[x, y]] });
    else if (event.key === '[') setSize(Math.max(1, Math.round(size * 0.8)));
    else if (event.key === ']') setSize(Math.min(Math.max(width, height), Math.round(size * 1.25) + 1));
    else if (event.key === 'e') setErases(!erases);
    else return;
    event.preventDefault();
  };
  return (
    <div className="mask">
      <div className="mask-tools" role="toolbar" aria-label="Mask tools">
        <div className="segmented">
          <button type="button" className="segment" aria-pressed={!erases} onClick={() => setErases(false)}>
            <Brush size={14} aria-hidden="true" /> Paint
          </button>
          <button type="button" className="segment" aria-pressed={erases} onClick={() => setErases(true)}>
            <Eraser size={14} aria-hidden="true" /> Erase
          </button>
        </div>
        <Slider.Root
          className="slider mask-size"
          min={1}
          max={Math.round(Math.max(width, height) / 2)}
          value={[size]}
          onValueChange={([next]) => next !== undefined && setSize(next)}
        >
          <Slider.Track className="slider-track">
            <Slider.Range className="slider-range" />
          </Slider.Track>
          <Slider.Thumb className="slider-thumb" aria-label="Brush size" />
        </Slider.Root>
        <span className="mask-size-text">{size} px</span>
        {(
          [
            ['Undo', Undo2, undo, strokes.length === 0],
            ['Redo', Redo2, redo, undone.length === 0],
            ['Invert', Contrast, () => void invert(), false],
            ['Clear', Trash2, clear, strokes.length === 0 && base === null],
          ] as const
        ).map(([label, Icon, act, disabled]) => (
          <Hint key={label} text={label}>
            <button type="button" className="icon-button" aria-label={label} disabled={disabled} onClick={act}>
              <Icon size={16} aria-hidden="true" />
            </button>
          </Hint>
        ))}
      </div>
      <div className="mask-frame" style={{ aspectRatio: `${width} / ${height}` }}>
        {/* A canvas that is painted on: the keyboard works it as the toolbar's title says. */}
        <canvas
          ref={canvas}
          className="mask-canvas"
          data-testid="mask-canvas"
          width={width}
          height={height}
          tabIndex={0}
          // oxlint-disable-next-line jsx-a11y/no-interactive-element-to-noninteractive-role -- what is painted on has keys of its own
          role="application"
          aria-label={`Picture to paint on; what is painted ${meaning}. Arrows move the brush, Space paints, E erases.`}
          onKeyDown={keyPressed}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            stroke.current = { erases: erases || event.button === 5, size, points: [pointOf(event)] };
            show(stroke.current);
          }}
          onPointerMove={(event) => {
            const point = pointOf(event);
            setCursor(point);
            if (stroke.current === null) return;
            stroke.current = { ...stroke.current, points: [...stroke.current.points, point] };
            show(stroke.current);
          }}
          onPointerUp={() => {
            if (stroke.current !== null) finish(stroke.current);
            stroke.current = null;
          }}
          onPointerLeave={() => setCursor(null)}
        />
        {cursor !== null && (
          <span
            className="mask-cursor"
            aria-hidden="true"
            style={{
              left: `${(100 * cursor[0]) / width}%`,
              top: `${(100 * cursor[1]) / height}%`,
              width: `${(100 * size) / width}%`,
            }}
          />
        )}
      </div>
      <p className="field-hint">
        What is painted {meaning}. Keys: <kbd>[</kbd> <kbd>]</kbd> brush size, <kbd>E</kbd> erase, <kbd>Ctrl</kbd>{' '}
        <kbd>Z</kbd> undo.
      </p>
    </div>
  );
}
