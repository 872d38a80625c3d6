/**
 * The only file that knows tfjs' internals.
 *
 * It puts our own GPUDevice into tfjs' WebGPUBackend, replaces that backend's buffer pool, runs our WGSL inside tfjs' own
 * command stream (several outputs, any bindings, f16), reads results back without tfjs' CPU cache, and hands out the tape.
 * Why not `runWebGPUProgram`: it knows one output, puts its header before `enable f16;`, makes a uniform buffer and a bind
 * group per call, and turns invalid bindings into silent garbage.
 */
import {
  engine,
  env,
  findBackendFactory,
  registerBackend,
  registerKernel,
  removeBackend,
  setBackend,
  ready,
  type DataType,
  type NamedAttrMap,
  type NamedTensorInfoMap,
  type NamedTensorMap,
  type Tensor,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { LoratoryError } from '../core/errors.ts';
import { defined, invariant } from '../core/invariant.ts';
import { BufferPool } from './bufferPool.ts';
import type { OpenedDevice } from './device.ts';
import { DeviceLostError, GpuLimitError, GpuOutOfMemoryError, GpuValidationError } from './errors.ts';
import { countDevice, type GpuCounters } from './memory.ts';
import { weightReader, type WeightFormat } from './weightFormat.ts';

export type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';

// ---- the backend ---------------------------------------------------------------------------------------------------

/** What we use of WebGPUBackend beyond its public face. tfjs is pinned exactly, so these cannot change under us. */
interface BackendInternals {
  bufferManager: BufferPool;
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  disposeData(dataId: object, force?: boolean): boolean;
  releaseResource(dataId: object): void;
}

interface TensorData {
  resource?: GPUBuffer | null;
  values: ArrayLike<number> | null;
  refCount: number;
  dtype: DataType;
}

/** Dispatches per submission: fewer cost JavaScript time, more keep the GPU idle at first and memory longer. */
const dispatchesPerSubmit = 64;

/** What one compute pass holds before it is submitted. */
export const dispatchesPerPass = dispatchesPerSubmit - 1;

/** Bytes that the pool may hold beyond what is used: hardly less than a training step of SD1.5 at 512 px reuses from the one before. */
const poolSlack = 224e6;

/** One GPU with tfjs on it. tfjs' engine is global, so there is one runtime per JavaScript realm. */
export interface Runtime {
  readonly device: GPUDevice;
  readonly opened: OpenedDevice;
  readonly counters: GpuCounters;
  /** Whether kernels read f16 natively (`shader-f16`) or unpack it by hand. */
  readonly shaderF16: boolean;
  /** Whether kernels may use subgroups. */
  readonly subgroups: boolean;
  readonly lost: Promise<DeviceLostError>;
}

/** What we use of WebGPUBackend's public face, with tensors always in buffers (never textures). */
interface BufferBackend {
  readonly tensorMap: { get(id: object): TensorData; has(id: object): boolean; delete(id: object): boolean };
  uploadToGPU(dataId: object): void;
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  getBufferData(buffer: GPUBuffer): Promise<ArrayBuffer>;
  disposeData(dataId: object): boolean;
}

/** What we use of tfjs' engine that its types call private. */
interface EngineInternals {
  startTape(): void;
  endTape(): void;
  runKernelFunc(params: {
    forwardFunc: (backend: unknown, save: (tensors: Tensor[]) => void) => Tensor;
    backwardsFunc: (dy: Tensor, saved: Tensor[]) => Record<string, () => Tensor>;
    inputs: NamedTensorMap;
  }): Tensor;
  readonly state: { activeTape: (Omit<TapeNode, 'saved'> & { saved?: Tensor[] })[] | null; gradientDepth: number };
}

function engineInternals(): EngineInternals {
  return engine() as unknown as EngineInternals;
}

interface RuntimeState extends Runtime {
  readonly backend: BufferBackend;
  readonly internals: BackendInternals;
  readonly pool: BufferPool;
  readonly programs: Map<string, Program>;
  readonly uniforms: Map<string, GPUBuffer>;
  readonly dummy: GPUBuffer;
  failure: LoratoryError | null;
}

let current: RuntimeState | null = null;

function state(): RuntimeState {
  invariant(current, 'The GPU runtime has not been started');
  return current;
}

/** The runtime, once {@link startRuntime} has been awaited. */
export function runtime(): Runtime {
  return state();
}

/** Makes `opened` the device of tfjs' backend `webgpu` and selects that backend. */
export async function startRuntime(opened: OpenedDevice): Promise<Runtime> {
  const { device } = opened;
  const counters = countDevice(device);
  env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', dispatchesPerSubmit);
  // Small tensors must not be forwarded to the CPU backend: our kernels exist there for tests only.
  env().set('WEBGPU_CPU_FORWARD', false);
  const tfjsBackend = new WebGPUBackend(device, opened.adapterInfo);
  const backend = tfjsBackend as unknown as BufferBackend;
  const internals = tfjsBackend as unknown as BackendInternals;
  const pool = new BufferPool(device, poolSlack);
  internals.bufferManager = pool;
  const submitQueue = backend.submitQueue.bind(backend);
  backend.submitQueue = () => {
    submitQueue();
    pool.onSubmit();
  };
  // A disposed tensor's buffer may be handed out at once: dispatches run in the order in which they were recorded, and
  // the only writes out of order (queue.writeBuffer) go to uniforms, which tfjs releases after the submission.
  internals.disposeData = (dataId, force = false) => {
    if (!backend.tensorMap.has(dataId)) return true;
    const data = backend.tensorMap.get(dataId);
    data.refCount = force ? 0 : data.refCount - 1;
    if (data.refCount > 0) return false;
    internals.releaseResource(dataId);
    backend.tensorMap.delete(dataId);
    return true;
  };
  const lost = device.lost.then((info) => new DeviceLostError(info.reason, info.message));
  const next: RuntimeState = {
    device,
    opened,
    counters,
    shaderF16: device.features.has('shader-f16'),
    subgroups: device.features.has('subgroups'),
    lost,
    backend,
    internals,
    pool,
    programs: new Map(),
    uniforms: new Map(),
    dummy: device.createBuffer({ label: 'unused optional input', size: 16, usage: GPUBufferUsage.STORAGE }),
    failure: null,
  };
  device.addEventListener('uncapturederror', (event) => {
    // We report it ourselves, with the next read-back; the console needs no second copy.
    event.preventDefault();
    const { error } = event;
    next.failure ??=
      error instanceof GPUOutOfMemoryError
        ? new GpuOutOfMemoryError(error.message, counters.liveBytes)
        : new GpuValidationError(error.message);
  });
  void lost.then((error) => {
    next.failure ??= error;
  });
  if (findBackendFactory('webgpu') !== null) removeBackend('webgpu');
  registerBackend('webgpu', () => tfjsBackend, 3);
  current = next;
  await setBackend('webgpu');
  await ready();
  return next;
}

/** Destroys the device. For tests and for a clean exit; a new runtime may be started after it. */
export function stopRuntime(): void {
  if (!current) return;
  const { device } = current;
  removeBackend('webgpu');
  current = null;
  device.destroy();
}

/** Throws the first error that the GPU has reported, if any. Cheap; called before and after every read-back. */
export function throwIfGpuFailed(): void {
  if (current?.failure) throw current.failure;
}

/** Submits what has been recorded. */
export function flush(): void {
  const { backend, internals } = state();
  backend.endComputePassEncoder();
  if (internals.commandEncoder) backend.submitQueue();
}

/** Submits, waits until the GPU has finished, and throws if it reported an error. */
export async function finishGpuWork(): Promise<void> {
  flush();
  await state().device.queue.onSubmittedWorkDone();
  throwIfGpuFailed();
}

/**
 * Nanoseconds that the GPU takes for what `record` puts into one compute pass, by its own clock; null where the device has no
 * `timestamp-query`, and for what needs more than one pass: more than {@link dispatchesPerPass} dispatches, an upload, a copy.
 * For benchmarks: browsers round these times.
 */
export async function timeOnGpu(record: () => void): Promise<number | null> {
  const { device, backend, internals } = state();
  if (!device.features.has('timestamp-query')) return null;
  flush();
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const usage = GPUBufferUsage;
  const resolved = device.createBuffer({ size: 16, usage: usage.QUERY_RESOLVE | usage.COPY_SRC });
  const mapped = device.createBuffer({ size: 16, usage: usage.MAP_READ | usage.COPY_DST });
  try {
    backend.ensureCommandEncoderReady();
    const encoder = defined(internals.commandEncoder);
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    internals.computePassEncoder = pass;
    record();
    const isWhole = internals.computePassEncoder === pass;
    backend.endComputePassEncoder();
    if (!isWhole) {
      flush();
      return null;
    }
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, mapped, 0, 16);
    backend.submitQueue();
    await mapped.mapAsync(GPUMapMode.READ);
    const [begin, end] = new BigUint64Array(mapped.getMappedRange());
    throwIfGpuFailed();
    return Number(defined(end) - defined(begin));
  } finally {
    querySet.destroy();
    resolved.destroy();
    mapped.destroy();
  }
}

/** Bytes of the GPU buffers that tensors occupy; tensors that share one count once. */
export function bytesInUse(): number {
  return state().pool.numBytesUsed;
}

/** Gives all unused GPU memory back to the system. Call between phases (encode, train, decode). Returns the bytes. */
export function trimMemory(): number {
  flush();
  const { pool, programs } = state();
  for (const program of programs.values()) program.bindGroups.clear();
  return pool.trim();
}

// ---- dispatching our own WGSL --------------------------------------------------------------------------------------

interface Program {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindGroups: Map<string, GPUBindGroup>;
}

/** A float in a uniform block; plain numbers there are u32. */
export interface FloatUniform {
  readonly f32: number;
}

export interface Dispatch {
  /** The text of a file in shaders/. Its entry point is `main`. */
  readonly shader: string;
  /** What the kernel is called in errors and profiles: the shader's stem. */
  readonly label: string;
  /** Compile-time constants, put before the shader as `const NAME`: numbers become u32, booleans bool. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
  /** Whether the shader uses subgroups, which the GPU must have. Its loops' bounds must be the same for a whole subgroup: nothing checks that. */
  readonly subgroups?: boolean;
  /** Whether the shader uses subgroup matrices, which the GPU must have. Each must be used by a whole subgroup: nothing checks that either. */
  readonly subgroupMatrices?: boolean;
  /** How the frozen weights lie that it reads: puts `weight_quad` and `weight_word` before the shader. */
  readonly weights?: WeightFormat;
  /** Bound read_write at 0, 1, ... */
  readonly outputs: readonly TensorInfo[];
  /** Bound read-only after the outputs; null binds a dummy, for optional inputs that a constant switches off. */
  readonly inputs: readonly (TensorInfo | null)[];
  /** The members of the uniform struct that is bound last, in order, 4 bytes each. */
  readonly uniforms?: readonly (number | FloatUniform)[];
  readonly workgroups: readonly [x: number, y?: number, z?: number];
  /** Floating-point operations, where they are what takes the time: counted only. */
  readonly flop?: number;
}

const bindGroupCacheLimit = 4096;
const ids = new WeakMap<GPUBuffer, number>();
let nextId = 1;

function idOf(buffer: GPUBuffer): number {
  let id = ids.get(buffer);
  if (id === undefined) ids.set(buffer, (id = nextId++));
  return id;
}

/**
 * Puts one dispatch into the command stream. Nothing is submitted or awaited.
 *
 * @throws {GpuLimitError} if a buffer or the grid is larger than the device allows: WebGPU itself would return zeros.
 */
export function dispatch(spec: Dispatch): void {
  const s = state();
  throwIfGpuFailed();
  const { backend, internals } = s;
  const { pipeline, bindGroup } = bind(s, spec);
  backend.ensureCommandEncoderReady();
  internals.computePassEncoder ??= defined(internals.commandEncoder).beginComputePass();
  encode(internals.computePassEncoder, pipeline, bindGroup, spec);
  s.counters.dispatches++;
  s.counters.flop += spec.flop ?? 0;
  if (++internals.dispatchCountInPass >= dispatchesPerSubmit) flush();
}

/** Puts a dispatch into a pass of the caller's own, as often as wished. It is not counted: for measurements beside the work. */
export function encodeDispatch(pass: GPUComputePassEncoder, spec: Dispatch, repetitions: number): void {
  const { pipeline, bindGroup } = bind(state(), spec);
  for (let i = 0; i < repetitions; i++) encode(pass, pipeline, bindGroup, spec);
}

/** The buffer that holds a tensor's values now. */
export function tensorBuffer(tensor: TensorInfo): GPUBuffer {
  return bufferOf(state(), tensor);
}

function encode(
  pass: GPUComputePassEncoder,
  pipeline: GPUComputePipeline,
  bindGroup: GPUBindGroup,
  { workgroups: [x, y = 1, z = 1] }: Dispatch,
): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(x, y, z);
}

/** The pipeline and the bindings of a dispatch that the device allows. */
function bind(s: RuntimeState, spec: Dispatch): { pipeline: GPUComputePipeline; bindGroup: GPUBindGroup } {
  const { device } = s;
  const program = programFor(s, spec);
  const buffers: GPUBuffer[] = [];
  const { maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
  for (const tensor of [...spec.outputs, ...spec.inputs]) {
    const buffer = tensor === null ? s.dummy : bufferOf(s, tensor);
    if (buffer.size > maxStorageBufferBindingSize) {
      throw new GpuLimitError(spec.label, 'maxStorageBufferBindingSize', buffer.size, maxStorageBufferBindingSize);
    }
    buffers.push(buffer);
  }
  if (spec.uniforms) buffers.push(uniformBuffer(s, spec.uniforms));
  const [x, y = 1, z = 1] = spec.workgroups;
  const largest = Math.max(x, y, z);
  if (largest > maxComputeWorkgroupsPerDimension) {
    throw new GpuLimitError(spec.label, 'maxComputeWorkgroupsPerDimension', largest, maxComputeWorkgroupsPerDimension);
  }
  invariant(Math.min(x, y, z) > 0, `${spec.label}: empty grid`, { workgroups: spec.workgroups });
  let key = '';
  for (const buffer of buffers) key += `${idOf(buffer)},`;
  let bindGroup = program.bindGroups.get(key);
  if (!bindGroup) {
    if (program.bindGroups.size >= bindGroupCacheLimit) program.bindGroups.clear();
    bindGroup = device.createBindGroup({
      label: spec.label,
      layout: program.layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    program.bindGroups.set(key, bindGroup);
  }
  return { pipeline: program.pipeline, bindGroup };
}

function bufferOf(s: RuntimeState, tensor: TensorInfo): GPUBuffer {
  s.backend.uploadToGPU(tensor.dataId);
  return defined(s.backend.tensorMap.get(tensor.dataId).resource, 'the buffer of a tensor');
}

function programKey({ label, weights, constants = {} }: Dispatch): string {
  let key = weights === undefined ? label : `${label}|${weights}`;
  for (const name in constants) key += `|${name},${constants[name]}`;
  return key;
}

function programFor(s: RuntimeState, spec: Dispatch): Program {
  const key = programKey(spec);
  const known = s.programs.get(key);
  if (known) return known;
  const { layout, descriptor } = describePipeline(s, key, spec);
  const program: Program = { pipeline: s.device.createComputePipeline(descriptor), layout, bindGroups: new Map() };
  s.programs.set(key, program);
  return program;
}

/**
 * Compiles what a dispatch runs, beside everything else. Resolves to whether it could be compiled; what could not leaves no error
 * behind, as an error of the dispatch itself does.
 */
export async function compileAhead(spec: Dispatch): Promise<boolean> {
  const s = state();
  const key = programKey(spec);
  if (s.programs.has(key)) return true;
  const { device } = s;
  device.pushErrorScope('validation');
  const { layout, descriptor } = describePipeline(s, key, spec);
  const failed = device.popErrorScope();
  try {
    const [pipeline, error] = await Promise.all([device.createComputePipelineAsync(descriptor), failed]);
    if (error) return false;
    if (!s.programs.has(key)) s.programs.set(key, { pipeline, layout, bindGroups: new Map() });
    return true;
  } catch {
    return false;
  }
}

function describePipeline(
  s: RuntimeState,
  key: string,
  spec: Dispatch,
): { layout: GPUBindGroupLayout; descriptor: GPUComputePipelineDescriptor } {
  const { device } = s;
  const reader = spec.weights === undefined ? '' : weightReader(spec.weights, s.shaderF16);
  const constants = Object.entries(spec.constants ?? {});
  const code = prologue(s.shaderF16, spec, constants) + reader + spec.shader;
  const types: GPUBufferBindingType[] = [
    ...spec.outputs.map(() => 'storage' as const),
    ...spec.inputs.map(() => 'read-only-storage' as const),
    ...(spec.uniforms ? ['uniform' as const] : []),
  ];
  const layout = device.createBindGroupLayout({
    label: spec.label,
    entries: types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
  });
  const descriptor = {
    label: key,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ label: key, code }), entryPoint: 'main' },
  };
  return { layout, descriptor };
}

/** What stands before every shader: the constants, f16 where there is, and subgroups and their matrices where they are used. */
function prologue(
  shaderF16: boolean,
  { subgroups = false, subgroupMatrices = false }: Dispatch,
  constants: readonly [string, number | boolean][],
): string {
  const lines = constants.map(([name, value]) =>
    typeof value === 'boolean' ? `const ${name}: bool = ${value};\n` : `const ${name}: u32 = ${value}u;\n`,
  );
  // The analysis of uniformity does not see through functions that take an invocation.
  return [
    ...(shaderF16 ? ['enable f16;\n'] : []),
    ...(subgroups ? ['enable subgroups;\n'] : []),
    ...(subgroupMatrices ? ['enable chromium_experimental_subgroup_matrix;\n'] : []),
    ...(subgroups ? ['diagnostic(off, subgroup_uniformity);\n'] : []),
    ...(subgroupMatrices ? ['diagnostic(off, chromium.subgroup_matrix_uniformity);\n'] : []),
    ...lines,
  ].join('');
}

/** Uniform blocks are few and repeat at every step, so each distinct content is made once and kept. */
function uniformBuffer(s: RuntimeState, values: readonly (number | FloatUniform)[]): GPUBuffer {
  let key = '';
  for (const value of values) key += typeof value === 'number' ? `${value},` : `f${value.f32},`;
  const known = s.uniforms.get(key);
  if (known) return known;
  const size = Math.ceil(values.length / 4) * 16;
  const buffer = s.device.createBuffer({
    label: 'uniforms',
    size,
    usage: GPUBufferUsage.UNIFORM,
    mappedAtCreation: true,
  });
  const view = new DataView(buffer.getMappedRange());
  values.forEach((value, i) => {
    if (typeof value === 'number') {
      invariant(Number.isInteger(value) && value >= 0, 'An integer uniform must be a u32', { value });
      view.setUint32(i * 4, value, true);
    } else {
      view.setFloat32(i * 4, value.f32, true);
    }
  });
  buffer.unmap();
  s.uniforms.set(key, buffer);
  return buffer;
}

// ---- kernels: one name, a WGSL body and a CPU reference ---------------------------------------------------------------

type KernelInputs = Readonly<Record<string, TensorInfo | null | undefined>>;

export interface KernelDefinition<Inputs extends KernelInputs, Attrs extends object> {
  readonly name: string;
  /** Allocates outputs with {@link emptyTensor} and calls {@link dispatch}. */
  webgpu(inputs: Inputs, attrs: Attrs): readonly TensorInfo[];
  /** The plain-JavaScript reference: reads with {@link cpuValues}, returns {@link cpuTensor}s. */
  cpu(inputs: Inputs, attrs: Attrs): readonly TensorInfo[];
}

/**
 * Registers a kernel under one name for tfjs' backends `webgpu` and `cpu`, and returns the function that runs it on the
 * backend in use. It is not differentiable by itself: wrap it with {@link differentiable}.
 */
export function defineKernel<Inputs extends KernelInputs, Attrs extends object>(
  definition: KernelDefinition<Inputs, Attrs>,
): (inputs: Inputs, attrs: Attrs) => Tensor[] {
  for (const backendName of ['webgpu', 'cpu'] as const) {
    registerKernel({
      kernelName: definition.name,
      backendName,
      // tfjs checks nothing here, so a NamedAttrMap may carry any plain record.
      kernelFunc: ({ inputs, attrs }) => [
        ...definition[backendName](inputs as unknown as Inputs, attrs as unknown as Attrs),
      ],
    });
  }
  return (inputs, attrs) => {
    const given: Record<string, TensorInfo> = {};
    for (const [name, tensor] of Object.entries(inputs)) if (tensor) given[name] = tensor;
    return engine().runKernel(
      definition.name,
      given as NamedTensorInfoMap as NamedTensorMap,
      attrs as NamedAttrMap,
    ) as unknown as Tensor[];
  };
}

/** An output that a WebGPU kernel will fill. */
export function emptyTensor(shape: readonly number[], dtype: 'float32' | 'int32' = 'float32'): TensorInfo {
  return state().backend.makeTensorInfo([...shape], dtype);
}

/** Frees an intermediate that a WebGPU kernel made with {@link emptyTensor} and does not return. */
export function releaseTensor(info: TensorInfo): void {
  state().backend.disposeData(info.dataId);
}

interface CpuBackend {
  readonly data: { get(dataId: object): { values: Float32Array | Int32Array } };
  makeTensorInfo(shape: number[], dtype: DataType, values: Float32Array | Int32Array): TensorInfo;
}

function cpuBackend(): CpuBackend {
  return engine().backend as unknown as CpuBackend;
}

/** The values of a kernel's input on the CPU backend: Float32Array, or Int32Array of packed f16 pairs for weights. */
export function cpuValues(tensor: TensorInfo): Float32Array | Int32Array {
  return cpuBackend().data.get(tensor.dataId).values;
}

/** A float32 output of a CPU reference, or one of packed f16 pairs. */
export function cpuTensor(shape: readonly number[], values: Float32Array | Int32Array): TensorInfo {
  return cpuBackend().makeTensorInfo([...shape], values instanceof Int32Array ? 'int32' : 'float32', values);
}

// ---- gradients -----------------------------------------------------------------------------------------------------

/** Computes the gradient of one input; called only where it is needed. */
export interface GradientThunk {
  (): Tensor;
  /** The gradient plus `addend`, of the same shape, which stays the caller's: see {@link accumulating}. */
  readonly plus?: (addend: Tensor) => Tensor;
}

/** The gradients of the differentiable inputs, by name. */
export type GradientThunks = Readonly<Record<string, GradientThunk>>;

/**
 * A gradient whose kernel adds what has been accumulated for its input already (null: nothing), which saves a dispatch and
 * a pass over the tensor wherever an input is used twice.
 */
export function accumulating(gradient: (addend: Tensor | null) => Tensor): GradientThunk {
  return Object.assign(() => gradient(null), { plus: gradient });
}

/**
 * Runs `forward` as one node of the tape. Only `inputs` can receive gradients; frozen weights are captured by closure.
 * What `forward` passes to `save` comes back to `backward` as `saved`. Work that several gradients share belongs in the body
 * of `backward`: each thunk runs in a tidy of its own.
 */
export function differentiable<Inputs extends Readonly<Record<string, Tensor>>>(
  inputs: Inputs,
  forward: (save: (tensors: Tensor[]) => void) => Tensor,
  backward: (dy: Tensor, saved: Tensor[]) => { readonly [K in keyof Inputs]: GradientThunk },
): Tensor {
  return engineInternals().runKernelFunc({
    forwardFunc: (_backend, save) => forward(save),
    backwardsFunc: (dy, saved) => backward(dy, saved),
    inputs: inputs,
  });
}

/** A node of tfjs' tape, as far as a walker needs it. */
export interface TapeNode {
  readonly id: number;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: readonly Tensor[];
  readonly saved: readonly Tensor[];
  gradient(dys: readonly (Tensor | null)[]): GradientThunks;
}

/** Runs `f` under a tape of its own; intermediate tensors are freed, what was saved for the backward pass is not. */
export function recordTape(f: () => Tensor[]): { readonly outputs: Tensor[]; readonly nodes: readonly TapeNode[] } {
  const internals = engineInternals();
  const { state: tapeState } = internals;
  invariant(tapeState.gradientDepth === 0, 'Tapes do not nest');
  internals.startTape();
  let outputs: Tensor[];
  try {
    outputs = engine().tidy('forward', f);
  } finally {
    internals.endTape();
  }
  const nodes = (tapeState.activeTape ?? []).map((node) => ({
    id: node.id,
    inputs: node.inputs,
    outputs: node.outputs,
    saved: node.saved ?? [],
    gradient: (dys: readonly (Tensor | null)[]) => node.gradient(dys),
  }));
  tapeState.activeTape = null;
  return { outputs, nodes };
}

// ---- moving data ---------------------------------------------------------------------------------------------------

/**
 * The values of `tensor` as they are on the GPU now. Unlike tfjs' `data()` nothing is cached, so tensors that are changed in
 * place (AdamW) read right.
 *
 * @throws the GPU's first reported error, rather than returning zeros.
 */
export async function readTensor(tensor: TensorInfo): Promise<Float32Array> {
  const s = state();
  throwIfGpuFailed();
  const data = s.backend.tensorMap.get(tensor.dataId);
  if (!data.resource) return Float32Array.from(defined(data.values, 'tensor values'));
  const values = new Float32Array(await s.backend.getBufferData(data.resource));
  throwIfGpuFailed();
  return values;
}

/** Overwrites the values of a tensor in place, after everything recorded so far has used the old ones. */
export function writeTensor(tensor: TensorInfo, values: Float32Array<ArrayBuffer>): void {
  const s = state();
  const buffer = bufferOf(s, tensor);
  invariant(buffer.size === values.byteLength, 'writeTensor: sizes differ', {
    tensor: buffer.size,
    values: values.byteLength,
  });
  flush();
  s.device.queue.writeBuffer(buffer, 0, values);
}

/**
 * Copies `count` values, 4 bytes each, from one tensor into another, in the order of everything else that is recorded. It is no
 * dispatch: the GPU's copy engine does it.
 */
export function copyValues(
  source: TensorInfo,
  target: TensorInfo,
  { from = 0, to = 0, count }: { readonly from?: number; readonly to?: number; readonly count: number },
): void {
  const s = state();
  throwIfGpuFailed();
  const [sourceBuffer, targetBuffer] = [bufferOf(s, source), bufferOf(s, target)];
  invariant(
    (from + count) * 4 <= sourceBuffer.size && (to + count) * 4 <= targetBuffer.size,
    'copyValues: out of bounds',
    { source: sourceBuffer.size, target: targetBuffer.size, from, to, count },
  );
  s.backend.ensureCommandEncoderReady();
  s.backend.endComputePassEncoder();
  defined(s.internals.commandEncoder).copyBufferToBuffer(sourceBuffer, from * 4, targetBuffer, to * 4, count * 4);
}

/** Sets `count` values of a tensor, 4 bytes each, to zero, in the order of everything else that is recorded. No dispatch. */
export function clearValues(
  target: TensorInfo,
  { to = 0, count }: { readonly to?: number; readonly count: number },
): void {
  const s = state();
  throwIfGpuFailed();
  const buffer = bufferOf(s, target);
  invariant((to + count) * 4 <= buffer.size, 'clearValues: out of bounds', { target: buffer.size, to, count });
  s.backend.ensureCommandEncoderReady();
  s.backend.endComputePassEncoder();
  defined(s.internals.commandEncoder).clearBuffer(buffer, to * 4, count * 4);
}

/** Moves a tensor's values to the GPU now, so that the JavaScript heap does not hold them until their first use. */
export function uploadTensor(tensor: TensorInfo): void {
  bufferOf(state(), tensor);
}
