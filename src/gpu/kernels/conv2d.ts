/**
 * Square convolutions over NHWC as implicit matrix products: the patches are gathered into workgroup memory, never into a
 * buffer. Weights are frozen, so gradients go to the input, the time embedding, the residual and a LoRA branch only.
 */
import narrowShader from '../../../shaders/conv2d_narrow.wgsl?raw';
import shader from '../../../shaders/conv2d.wgsl?raw';
import { invariant } from '../../core/invariant.ts';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  differentiable,
  dispatch,
  emptyTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { precisionOfProducts, type Precision } from '../precision.ts';
import { weightWords, type WeightFormat } from '../weightFormat.ts';
import { forEachTap, type Geometry, type Padding } from './convGeometry.ts';
import { convLoraDown, convLoraGradientA, convLoraInputGradient, convLoraUp } from './convLoraBranch.ts';
import { loraDownGradient, loraGradientB, type LoraBranch, type LoraSizes } from './loraBranch.ts';
import { cpuWeights, roundFactors } from './packed.ts';
import { depthSplits, splitProduct, type Epilogue } from './splitDepth.ts';
import { sumRows } from './sumRows.ts';
import { dispatchProduct } from './tile.ts';

export interface ConvWeights {
  /** Words of `format`: [kernel, kernel, in, out], both channel counts padded to multiples of 4: see {@link packConvWeights}. */
  readonly weight: Tensor;
  /** f16 if not given. */
  readonly format?: WeightFormat;
  /** float32 [outChannels]. */
  readonly bias: Tensor | null;
  /** 1 or 3. */
  readonly kernelSize: number;
  readonly inChannels: number;
  readonly outChannels: number;
}

/** The next multiple of 4. */
function padded(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** Halves of torch's layout [out, in, height, width] in the order that {@link conv2d} reads: HWIO, channels padded with zeros. */
export function packConvWeights(
  oihw: Uint16Array,
  [out, inputs, height, width]: readonly [number, number, number, number],
): Uint16Array<ArrayBuffer> {
  invariant(oihw.length === out * inputs * height * width, 'packConvWeights: the weights have another size', {
    size: oihw.length,
    out,
    inputs,
    height,
    width,
  });
  const [outPadded, inPadded] = [padded(out), padded(inputs)];
  const hwio = new Uint16Array(height * width * inPadded * outPadded);
  const taps = height * width;
  // A few inputs at a time, so that what is written for the next output still lies in the processor's cache.
  for (let first = 0; first < inputs; first += 32) {
    const end = Math.min(first + 32, inputs);
    for (let o = 0; o < out; o++) {
      for (let i = first; i < end; i++) {
        const from = (o * inputs + i) * taps;
        for (let tap = 0; tap < taps; tap++) hwio[(tap * inPadded + i) * outPadded + o] = oihw[from + tap]!;
      }
    }
  }
  return hwio;
}

type Inputs = {
  /** x, or dy on the way back. */
  readonly source: TensorInfo;
  readonly weight: TensorInfo;
  readonly bias?: TensorInfo | null;
  readonly time?: TensorInfo | null;
  readonly residual?: TensorInfo | null;
};

/** Outputs up to so many channels would leave most columns of a tile empty. */
const narrowChannels = 8;

/** Narrow outputs have a kernel of their own, which is float32 in any precision: all that it gives is in the picture. */
function isNarrow(channels: number): boolean {
  return channels <= narrowChannels || channels % 4 !== 0;
}

type Attributes = Geometry & {
  readonly format: WeightFormat;
  readonly backward: boolean;
  readonly precision: Precision;
};

const run = defineKernel<Inputs, Attributes>({
  name: 'FrozenConv2d',
  webgpu: (
    { source, weight, bias = null, time = null, residual = null },
    { format, input, output, kernelSize, stride, padding, backward, precision },
  ) => {
    const [from, to] = backward ? [output, input] : [input, output];
    const [images, height, width, channels] = to;
    const aligned = from[3] % 4 === 0;
    const sources = [aligned ? source : null, aligned ? null : source] as const;
    const sizes = [...to, ...from.slice(1), kernelSize, stride, padding[0], padding[1]];
    const flags = (epilogue: readonly (TensorInfo | null)[]): number[] => epilogue.map((t) => Number(t !== null));
    const constants = { BACKWARD: backward };
    // Forward and backward alike: each output pixel meets every tap once, but for the padding.
    const flop = 2 * output.reduce((a, b) => a * b, 1) * input[3] * kernelSize ** 2;
    if (isNarrow(channels)) {
      const y = emptyTensor(to);
      dispatch({
        shader: narrowShader,
        label: 'conv2d_narrow',
        constants,
        weights: format,
        outputs: [y],
        inputs: [...sources, weight, bias, time, residual],
        uniforms: [...sizes, ...flags([bias, time, residual])],
        workgroups: [Math.ceil((images * height * width) / 64), Math.ceil(channels / 4)],
        flop,
      });
      return [y];
    }
    const parities = backward ? stride : 1;
    const rows = images * Math.ceil(height / parities) * Math.ceil(width / parities);
    const count = parities * parities;
    const depth = Math.ceil(kernelSize / parities) ** 2 * from[3];
    const splits = depthSplits({ rows, columns: channels, depth, count });
    const multiply = (
      target: TensorInfo,
      { bias: ownBias, time: ownTime, residual: ownResidual }: Required<Epilogue>,
    ): void =>
      dispatchProduct({
        shader,
        label: 'conv2d',
        constants: { ...constants, ALIGNED: aligned },
        weights: format,
        outputs: [target],
        inputs: [...sources, weight, ownBias, ownTime, ownResidual],
        uniforms: [...sizes, ...flags([ownBias, ownTime, ownResidual]), splits],
        rows,
        columns: channels,
        count: count * splits,
        precision,
        flop,
      });
    return [splitProduct(to, splits, { bias, time, residual }, multiply)];
  },
  cpu: ({ source, weight, bias, time, residual }, geometry) => {
    const { format, input, output, backward } = geometry;
    const precision = isNarrow((backward ? input : output)[3]) ? 'f32' : geometry.precision;
    const sources = roundFactors(cpuValues(source), precision);
    const ws = roundFactors(cpuWeights(weight, format), precision);
    const [biases, times, residuals] = [bias, time, residual].map((tensor) => (tensor ? cpuValues(tensor) : null));
    const [inChannels, outChannels] = [input[3], output[3]];
    const sums = new Float64Array((backward ? input : output).reduce((a, b) => a * b, 1));
    forEachTap(geometry, (inPixel, outPixel, tap) => {
      for (let i = 0; i < inChannels; i++) {
        for (let o = 0; o < outChannels; o++) {
          const w = ws[(tap * padded(inChannels) + i) * padded(outChannels) + o]!;
          const [x, y] = [inPixel * inChannels + i, outPixel * outChannels + o];
          if (backward) sums[x]! += w * sources[y]!;
          else sums[y]! += w * sources[x]!;
        }
      }
    });
    const perImage = output[1] * output[2] * outChannels;
    const values = Float32Array.from(sums, (sum, i) => {
      const channel = i % outChannels;
      return (
        sum +
        (biases?.[channel] ?? 0) +
        (times?.[Math.floor(i / perImage) * outChannels + channel] ?? 0) +
        (residuals?.[i] ?? 0)
      );
    });
    return [cpuTensor(backward ? input : output, values)];
  },
});

/**
 * Convolution of x [N, H, W, inChannels] -> [N, H', W', outChannels], H' = floor((H + top + bottom - kernelSize) / stride) + 1
 * and W' likewise, + bias + timeEmbedding [N, outChannels] at every pixel + residual (shape of the result) + scale B (A * x): a LoRA
 * of one group whose A [rank, kernel * kernel * inChannels] (taps before channels) is a convolution like this one and whose B
 * [outChannels, rank] is one of 1x1 (kohya's LoCon). With a LoRA both channel counts must be multiples of 4.
 */
export function conv2d(
  x: Tensor,
  weights: ConvWeights,
  options: {
    readonly stride: 1 | 2;
    readonly padding: Padding;
    readonly timeEmbedding?: Tensor;
    readonly residual?: Tensor;
    readonly lora?: LoraBranch;
  },
): Tensor {
  const { weight, format = 'f16', bias, inChannels, outChannels, kernelSize } = weights;
  const { stride, padding, timeEmbedding, residual, lora } = options;
  const precision = precisionOfProducts();
  const [images, height, width, channels] = x.shape as [number, number, number, number];
  const outHeight = Math.floor((height + padding[0] + padding[2] - kernelSize) / stride) + 1;
  const outWidth = Math.floor((width + padding[1] + padding[3] - kernelSize) / stride) + 1;
  const geometry: Geometry = {
    input: [images, height, width, inChannels],
    output: [images, outHeight, outWidth, outChannels],
    kernelSize,
    stride,
    padding,
  };
  invariant(x.rank === 4 && channels === inChannels, 'conv2d: x must be [N, H, W, inChannels]', {
    shape: x.shape,
    inChannels,
  });
  invariant(outHeight > 0 && outWidth > 0, 'conv2d: the image is smaller than the kernel', {
    shape: x.shape,
    kernelSize,
    padding,
  });
  const words = weightWords(kernelSize * kernelSize * padded(inChannels) * padded(outChannels), format);
  invariant(weight.size === words, 'conv2d: the weight has another size', { weight: weight.shape, words });
  if (timeEmbedding) {
    const fits = timeEmbedding.shape.join() === `${images},${outChannels}`;
    invariant(fits, 'conv2d: the time embedding must be [N, outChannels]', {
      timeEmbedding: timeEmbedding.shape,
      images,
      outChannels,
    });
  }
  if (residual) {
    const fits = residual.shape.join() === geometry.output.join();
    invariant(fits, 'conv2d: the residual must have the shape of the output', {
      residual: residual.shape,
      output: geometry.output,
    });
  }
  const sizes: LoraSizes = {
    rows: images * outHeight * outWidth,
    sampleRows: outHeight * outWidth,
    inFeatures: kernelSize * kernelSize * inChannels,
    outFeatures: outChannels,
    groups: 1,
    rank: lora?.b.shape[1] ?? 0,
  };
  if (lora) checkBranch(lora, weights, sizes);
  // The backward pass repeats these draws, even if the branch has none by then.
  const dropout = lora?.dropout ?? null;
  return differentiable<Record<string, Tensor>>(
    {
      x,
      ...(timeEmbedding ? { time: timeEmbedding } : {}),
      ...(residual ? { residual } : {}),
      ...(lora ? { a: lora.a, b: lora.b } : {}),
    },
    (save) => {
      const t = lora ? convLoraDown(x, lora, geometry, sizes) : null;
      save(lora && t ? [weight, x, t, lora.a, lora.b, lora.scale, ...(dropout ? [dropout.key] : [])] : [weight]);
      const added = lora && t ? convLoraUp(t, lora.b, residual ?? null, geometry.output) : (residual ?? null);
      const inputs = { source: x, weight, bias, time: timeEmbedding ?? null, residual: added };
      return run(inputs, { ...geometry, format, precision, backward: false })[0]!;
    },
    (dy, [savedWeight, savedX, t, a, b, scale, key]) => {
      // Shared by the gradients of x and A.
      const dt =
        b && scale
          ? loraDownGradient(dy, { b, scale, dropout: dropout && key ? { ...dropout, key } : null }, sizes)
          : null;
      return {
        x: () => {
          const residualGradient = dt && a ? convLoraInputGradient(dt, a, geometry) : null;
          const inputs = { source: dy, weight: savedWeight!, residual: residualGradient };
          return run(inputs, { ...geometry, format, precision, backward: true })[0]!;
        },
        time: () => sumRows(dy, [images, outHeight * outWidth, outChannels]),
        residual: () => dy,
        a: () => convLoraGradientA(savedX!, dt!, geometry),
        b: () => loraGradientB(dy, t!, sizes),
      };
    },
  );
}

function checkBranch(
  { a, b, scale, groups }: LoraBranch,
  { inChannels, outChannels }: ConvWeights,
  sizes: LoraSizes,
): void {
  invariant(
    inChannels % 4 === 0 && outChannels % 4 === 0,
    'conv2d: with a LoRA, channel counts must be multiples of 4',
    { inChannels, outChannels },
  );
  invariant(
    groups === 1 &&
      a.shape.join() === `${sizes.rank},${sizes.inFeatures}` &&
      b.shape[0] === outChannels &&
      scale.size === sizes.rank &&
      sizes.rank >= 1,
    'conv2d: the LoRA branch does not fit the layer',
    { a: a.shape, b: b.shape, scale: scale.shape, groups, inChannels, outChannels },
  );
}
