/**
 * A LoRA's narrow convolution beside a frozen one (kohya's LoCon): t = scale * (A * x), its gradients towards x and A, and the wide 1x1
 * product t Bᵀ, which enters the frozen convolution as its residual. Those towards t and B are the linear branch's (loraBranch.ts), with
 * the output's pixels as rows. A is [rank, kernel * kernel * inChannels], taps before channels.
 */
import backwardShader from '../../../shaders/lora_conv_backward.wgsl?raw';
import downShader from '../../../shaders/lora_conv_down.wgsl?raw';
import dropoutShader from '../../../shaders/dropout.wgsl?raw';
import gradientShader from '../../../shaders/lora_conv_gradient.wgsl?raw';
import patches from '../../../shaders/patches.wgsl?raw';
import upShader from '../../../shaders/lora_up.wgsl?raw';
import { cpuTensor, cpuValues, defineKernel, dispatch, emptyTensor, type Tensor, type TensorInfo } from '../runtime.ts';
import { forEachTap, type Geometry, type Image } from './convGeometry.ts';
import { dropoutFactors, dropoutUniforms, type DropoutDraw } from './dropout.ts';
import { flatGrid } from './grid.ts';
import { drawOf, gradientChunk, rankQuads, type LoraBranch, type LoraSizes } from './loraBranch.ts';
import { sumAndReleaseRows } from './sumRows.ts';

function pixels([images, height, width]: Image): number {
  return images * height * width;
}

function uniformsOf({ input, output, kernelSize, stride, padding }: Geometry): number[] {
  const [images, height, width, channels] = input;
  return [images, height, width, channels / 4, output[1], output[2], kernelSize, stride, padding[0], padding[1]];
}

interface DownAttrs extends Geometry {
  readonly rank: number;
  readonly dropout: DropoutDraw | null;
}

const runDown = defineKernel<{ x: TensorInfo; a: TensorInfo; scale: TensorInfo; key?: TensorInfo | null }, DownAttrs>({
  name: 'ConvLoraDown',
  webgpu: ({ x, a, scale, key = null }, { rank, dropout, ...geometry }) => {
    const rows = pixels(geometry.output);
    const quads = rankQuads(rank);
    const t = emptyTensor([rows, rank]);
    dispatch({
      shader: patches + dropoutShader + downShader,
      label: 'lora_conv_down',
      constants: { QUADS: quads, DROPOUT: dropout !== null },
      outputs: [t],
      inputs: [x, a, scale, key],
      uniforms: [...uniformsOf(geometry), rank, ...dropoutUniforms(dropout)],
      workgroups: [Math.ceil(rank / (4 * quads)), Math.ceil(rows / 16)],
    });
    return [t];
  },
  cpu: ({ x, a, scale, key }, { rank, dropout, ...geometry }) => {
    const [xs, as, scales] = [cpuValues(x), cpuValues(a), cpuValues(scale)];
    const channels = geometry.input[3];
    const taps = geometry.kernelSize ** 2;
    const rows = pixels(geometry.output);
    const sums = new Float64Array(rows * rank);
    forEachTap(geometry, (inPixel, outPixel, tap) => {
      for (let r = 0; r < rank; r++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += xs[inPixel * channels + c]! * as[(r * taps + tap) * channels + c]!;
        sums[outPixel * rank + r]! += sum;
      }
    });
    const factors = dropout && key ? dropoutFactors(dropout, cpuValues(key)[0]!, rows, rank) : null;
    return [
      cpuTensor(
        [rows, rank],
        Float32Array.from(sums, (sum, i) => scales[i % rank]! * sum * (factors?.[i] ?? 1)),
      ),
    ];
  },
});

const runUp = defineKernel<
  { t: TensorInfo; b: TensorInfo; residual?: TensorInfo | null },
  { readonly output: Image; readonly rank: number }
>({
  name: 'LoraUp',
  webgpu: ({ t, b, residual = null }, { output, rank }) => {
    const y = emptyTensor(output);
    const [rows, columns4] = [pixels(output), output[3] / 4];
    dispatch({
      shader: upShader,
      label: 'lora_up',
      outputs: [y],
      inputs: [t, b, residual],
      uniforms: [rows, columns4, rank, Number(residual !== null)],
      workgroups: flatGrid(rows * columns4, 64),
    });
    return [y];
  },
  cpu: ({ t, b, residual }, { output, rank }) => {
    const [ts, bs] = [cpuValues(t), cpuValues(b)];
    const residuals = residual ? cpuValues(residual) : null;
    const columns = output[3];
    const y = new Float32Array(pixels(output) * columns).map((_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = residuals?.[i] ?? 0;
      for (let r = 0; r < rank; r++) sum += ts[row * rank + r]! * bs[column * rank + r]!;
      return sum;
    });
    return [cpuTensor(output, y)];
  },
});

const runInputGradient = defineKernel<{ dt: TensorInfo; a: TensorInfo }, Geometry & { readonly rank: number }>({
  name: 'ConvLoraInputGradient',
  webgpu: ({ dt, a }, { rank, ...geometry }) => {
    const dx = emptyTensor(geometry.input);
    dispatch({
      shader: backwardShader,
      label: 'lora_conv_backward',
      outputs: [dx],
      inputs: [dt, a],
      uniforms: [...uniformsOf(geometry), rank],
      workgroups: flatGrid((pixels(geometry.input) * geometry.input[3]) / 4, 64),
    });
    return [dx];
  },
  cpu: ({ dt, a }, { rank, ...geometry }) => {
    const [dts, as] = [cpuValues(dt), cpuValues(a)];
    const channels = geometry.input[3];
    const taps = geometry.kernelSize ** 2;
    const dx = new Float32Array(pixels(geometry.input) * channels);
    forEachTap(geometry, (inPixel, outPixel, tap) => {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += dts[outPixel * rank + r]! * as[(r * taps + tap) * channels + c]!;
        dx[inPixel * channels + c]! += sum;
      }
    });
    return [cpuTensor(geometry.input, dx)];
  },
});

const runGradientA = defineKernel<{ x: TensorInfo; dt: TensorInfo }, Geometry & { readonly rank: number }>({
  name: 'ConvLoraGradientA',
  webgpu: ({ x, dt }, { rank, ...geometry }) => {
    const columns = geometry.kernelSize ** 2 * geometry.input[3];
    const rows = pixels(geometry.output);
    const shape = [rank, columns];
    const tiles = [Math.ceil(columns / 64), Math.ceil(rank / 4)] as const;
    const chunk = gradientChunk(rows, tiles[0] * tiles[1]);
    const chunks = Math.ceil(rows / chunk);
    const out = emptyTensor(chunks === 1 ? shape : [chunks, ...shape]);
    dispatch({
      shader: patches + gradientShader,
      label: 'lora_conv_gradient',
      outputs: [out],
      inputs: [x, dt],
      uniforms: [...uniformsOf(geometry), rank, chunk],
      workgroups: [...tiles, chunks],
    });
    return [chunks === 1 ? out : { ...sumAndReleaseRows(out, [1, chunks, rank * columns]), shape }];
  },
  cpu: ({ x, dt }, { rank, ...geometry }) => {
    const [xs, dts] = [cpuValues(x), cpuValues(dt)];
    const channels = geometry.input[3];
    const taps = geometry.kernelSize ** 2;
    const da = new Float32Array(rank * taps * channels);
    forEachTap(geometry, (inPixel, outPixel, tap) => {
      for (let r = 0; r < rank; r++) {
        const d = dts[outPixel * rank + r]!;
        for (let c = 0; c < channels; c++) da[(r * taps + tap) * channels + c]! += d * xs[inPixel * channels + c]!;
      }
    });
    return [cpuTensor([rank, taps * channels], da)];
  },
});

/** t = scale * (A * x), with dropout where the branch has it: [pixels of the output, rank]. */
export function convLoraDown(
  x: TensorInfo,
  { a, scale, dropout = null }: LoraBranch,
  geometry: Geometry,
  sizes: LoraSizes,
): Tensor {
  const attrs = { ...geometry, rank: sizes.rank, dropout: drawOf(dropout, sizes) };
  return runDown({ x, a, scale, key: dropout?.key ?? null }, attrs)[0]!;
}

/** t Bᵀ + residual, in the shape of the convolution's output. */
export function convLoraUp(t: TensorInfo, b: TensorInfo, residual: TensorInfo | null, output: Image): Tensor {
  return runUp({ t, b, residual }, { output, rank: b.shape[1]! })[0]!;
}

/** The gradient of A * x towards x, for the gradient dt towards A * x. */
export function convLoraInputGradient(dt: TensorInfo, a: TensorInfo, geometry: Geometry): Tensor {
  return runInputGradient({ dt, a }, { ...geometry, rank: a.shape[0]! })[0]!;
}

/** The gradient towards A: [rank, kernel * kernel * inChannels]. */
export function convLoraGradientA(x: TensorInfo, dt: TensorInfo, geometry: Geometry): Tensor {
  return runGradientA({ x, dt }, { ...geometry, rank: dt.shape[1]! })[0]!;
}
