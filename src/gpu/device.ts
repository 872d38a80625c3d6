import { NoWebGpuError } from './errors.ts';

/** What was found out about the GPU when it was opened. */
export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  /** True for SwiftShader, lavapipe and the like: correct, but hundreds of times slower than a GPU. */
  readonly isSoftware: boolean;
  /** Bytes of the GPU's own memory; null where the browser does not say, as most do not. */
  readonly memoryBytes: number | null;
}

const wantedFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/**
 * Opens the fastest GPU with all the features and limits that our kernels can use.
 * `withoutFeatures` leaves features out, to test the paths for GPUs that lack them.
 *
 * @throws {NoWebGpuError} where there is no WebGPU or no adapter.
 */
export async function openDevice(
  gpu: GPU | undefined,
  { withoutFeatures = [] }: { readonly withoutFeatures?: readonly GPUFeatureName[] } = {},
): Promise<OpenedDevice> {
  if (!gpu) throw new NoWebGpuError('this browser has no navigator.gpu');
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new NoWebGpuError('no GPU adapter was offered');
  const requiredFeatures = wantedFeatures.filter(
    (name) => adapter.features.has(name) && !withoutFeatures.includes(name),
  );
  const requiredLimits: Record<string, number> = {};
  for (const name of wantedLimits) requiredLimits[name] = adapter.limits[name];
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  const { vendor, architecture, description } = adapter.info;
  const isSoftware =
    adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(`${vendor} ${architecture} ${description}`);
  return { device, adapterInfo: adapter.info, isSoftware, memoryBytes: memoryBytesOf(adapter.info) };
}

/** `GPUHeapProperty.DEVICE_LOCAL` of Chromium's `memoryHeaps`, which are not in the standard. */
const deviceLocal = 1;

function memoryBytesOf(info: GPUAdapterInfo): number | null {
  const heaps: unknown = Reflect.get(info, 'memoryHeaps');
  if (!Array.isArray(heaps)) return null;
  const sizes = (heaps as Partial<Record<'properties' | 'size', unknown>>[]).map(({ properties, size }) =>
    (Number(properties) & deviceLocal) !== 0 ? Number(size) : 0,
  );
  return Math.max(0, ...sizes) || null;
}
