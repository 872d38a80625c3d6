import { Brush, Contrast, Eraser, RotateCcw, Undo2 } from 'lucide-react';
import { Slider } from 'radix-ui';
import { type KeyboardEvent, type PointerEvent, useCallback, useEffect, useRef, useState } from 'react';
import type { SizeOptions } from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { Field } from '../../components/Field.tsx';
import { useStudio, useStudioStore } from '../../StudioContext.tsx';
import { cropStyle } from './cropStyle.ts';
import type { OnEdit } from './ImageDialog.tsx';
import { MaskCanvas, type Point } from './maskCanvas.ts';

interface MaskEditorProps {
  readonly image: DatasetImage;
  readonly url: string;
  readonly sizes: SizeOptions;
  readonly onEdit: OnEdit;
}

type Mode = 'paint' | 'erase';

/** Brush sizes, in percent of the picture's longer side. */
const sizes = { min: 1, max: 40, initial: 10 };

const arrows: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Paints what of a picture matters: with the pointer, or with the keyboard. */
export function MaskEditor({ image, url, sizes: trainedAt, onEdit }: MaskEditorProps) {
  const background = useStudio((state) => state.background);
  const imagesChanged = useStudio((state) => state.imagesChanged);
  const store = useStudioStore();
  const [mask] = useState(() => new MaskCanvas(image));
  const [mode, setMode] = useState<Mode>('paint');
  const [size, setSize] = useState(sizes.initial);
  /** Counts changes: the mask itself is a canvas, which React cannot see. */
  const [version, setVersion] = useState(0);
  const touched = useRef(false);
  const veil = useRef<HTMLCanvasElement>(null);
  const cursor = useRef<HTMLSpanElement>(null);
  const last = useRef<Point | null>(null);
  const at = useRef<Point>({ x: mask.canvas.width / 2, y: mask.canvas.height / 2 });
  const width = (size / 100) * Math.max(mask.canvas.width, mask.canvas.height);

  const changed = useCallback((): void => {
    touched.current = true;
    setVersion((before) => before + 1);
  }, []);

  useEffect(() => {
    if (image.mask !== null) void mask.load(image.mask).then(() => setVersion((before) => before + 1));
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- only what was stored when the editor was opened
  }, [mask]);

  useEffect(() => {
    if (veil.current) mask.drawVeil(veil.current, 'rgb(222 95 67 / 62%)');
  }, [mask, version]);

  useEffect(() => {
    onEdit(async () => {
      if (!touched.current) return;
      touched.current = false;
      const blob = await mask.toBlob();
      if (blob === null && image.mask === null) return;
      // A mask that was painted is meant to count.
      if (blob !== null) store.getState().trainFieldEdited('maskedLoss', 'true');
      await imagesChanged([{ id: image.id, mask: blob }], `Mask of ${image.fileName} ${blob ? 'painted' : 'removed'}`);
    });
  }, [onEdit, mask, image.id, image.fileName, image.mask, imagesChanged, store]);

  const moveCursor = (point: Point): void => {
    at.current = point;
    if (!cursor.current) return;
    cursor.current.style.left = `${(point.x / mask.canvas.width) * 100}%`;
    cursor.current.style.top = `${(point.y / mask.canvas.height) * 100}%`;
  };
  const pointOf = (event: PointerEvent<HTMLElement>): Point => {
    const box = event.currentTarget.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * mask.canvas.width,
      y: ((event.clientY - box.top) / box.height) * mask.canvas.height,
    };
  };
  const paintTo = (point: Point): void => {
    mask.stroke(last.current ?? point, point, width, mode);
    last.current = point;
    changed();
  };
  const step = (by: number): void => setSize((before) => Math.min(sizes.max, Math.max(sizes.min, before + by)));
  const undo = (): void => {
    mask.undo();
    changed();
  };

  const pressed = (event: KeyboardEvent): void => {
    const arrow = arrows[event.key];
    if (arrow) {
      const far = Math.max(2, width / 4);
      const next = {
        x: Math.min(mask.canvas.width, Math.max(0, at.current.x + arrow[0] * far)),
        y: Math.min(mask.canvas.height, Math.max(0, at.current.y + arrow[1] * far)),
      };
      if (event.shiftKey) {
        mask.beginStroke(mode);
        last.current = at.current;
        paintTo(next);
        last.current = null;
      }
      moveCursor(next);
    } else if (event.key === ' ') {
      mask.beginStroke(mode);
      last.current = null;
      paintTo(at.current);
      last.current = null;
    } else if (event.key === '[') step(-2);
    else if (event.key === ']') step(2);
    else if (event.key === 'x') setMode(mode === 'paint' ? 'erase' : 'paint');
    else if (event.key === 'z' && (event.ctrlKey || event.metaKey)) undo();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <>
      <div className="image-stage">
        <div
          className="mask-fit"
          style={{
            aspectRatio: `${image.width} / ${image.height}`,
            ...(image.width / image.height > 1 ? { width: '100%' } : { height: '100%' }),
            ...(image.hasAlpha ? { background } : {}),
          }}
        >
          <img src={url} alt="" draggable={false} />
          <canvas ref={veil} className="mask-veil" width={mask.canvas.width} height={mask.canvas.height} />
          <button
            type="button"
            className="mask-surface"
            aria-label={`Mask of ${image.fileName}: arrow keys move the brush, Space paints, Shift with arrows draws, square brackets change its size, X switches brush and eraser`}
            onKeyDown={pressed}
            onPointerDown={(event) => {
              if (event.button !== 0) return;
              event.currentTarget.setPointerCapture(event.pointerId);
              mask.beginStroke(mode);
              last.current = null;
              paintTo(pointOf(event));
            }}
            onPointerMove={(event) => {
              const point = pointOf(event);
              moveCursor(point);
              if (event.currentTarget.hasPointerCapture(event.pointerId)) paintTo(point);
            }}
            onPointerUp={() => {
              last.current = null;
            }}
          />
          <span className="mask-crop" style={cropStyle(image, trainedAt)} aria-hidden="true" />
          <span
            ref={cursor}
            className="mask-cursor"
            data-mode={mode}
            aria-hidden="true"
            style={{
              width: `${(width / mask.canvas.width) * 100}%`,
              aspectRatio: '1',
              left: '50%',
              top: '50%',
            }}
          />
        </div>
      </div>
      <div className="image-controls">
        <fieldset className="segmented" aria-label="Tool">
          <button type="button" aria-pressed={mode === 'paint'} onClick={() => setMode('paint')}>
            <Brush size={14} aria-hidden="true" /> Brush
          </button>
          <button type="button" aria-pressed={mode === 'erase'} onClick={() => setMode('erase')}>
            <Eraser size={14} aria-hidden="true" /> Eraser
          </button>
        </fieldset>
        <Field label="Brush size" aside={<span className="lora-weight">{size}%</span>}>
          {({ id }) => (
            <Slider.Root
              className="slider"
              min={sizes.min}
              max={sizes.max}
              value={[size]}
              onValueChange={([value = sizes.initial]) => setSize(value)}
            >
              <Slider.Track className="slider-track">
                <Slider.Range className="slider-range" />
              </Slider.Track>
              <Slider.Thumb id={id} className="slider-thumb" aria-label="Size of the brush" />
            </Slider.Root>
          )}
        </Field>
        <div className="button-row">
          <button type="button" className="button" disabled={!mask.canUndo} onClick={undo}>
            <Undo2 size={14} aria-hidden="true" /> Undo
          </button>
          <button
            type="button"
            className="button"
            onClick={() => {
              mask.invert();
              changed();
            }}
          >
            <Contrast size={14} aria-hidden="true" /> Invert
          </button>
          <button
            type="button"
            className="button"
            disabled={mask.isWhole}
            onClick={() => {
              mask.clear();
              changed();
            }}
          >
            <RotateCcw size={14} aria-hidden="true" /> Clear
          </button>
        </div>
        <p className="field-hint">
          {mask.isWhole
            ? 'All of the picture is learned. Paint what matters, and only that will be.'
            : 'What is tinted is not learned: the loss passes it over.'}
        </p>
      </div>
    </>
  );
}
