import { NoWebGpuError } from './errors.ts';

/** Small matrices that a subgroup multiplies in one instruction: sums of m rows, n columns and k values each, f16 times f16 in f32. */
export interface MatrixSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What was found out about the GPU when it was opened. */
export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  /** True for SwiftShader, lavapipe and the like: correct, but hundreds of times slower than a GPU. */
  readonly isSoftware: boolean;
  /** Bytes of the GPU's own memory; null where the browser does not say, as most do not. */
  readonly memoryBytes: number | null;
  /** Null where it has no such units, or is not known to have subgroups of 32. */
  readonly matrixSizes: MatrixSizes | null;
}

/** Chromium's, where experiments are allowed: not in the standard yet. */
const subgroupMatrix = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

const wantedFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query', subgroupMatrix];

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
  const hasMatrices = (['shader-f16', 'subgroups', subgroupMatrix] as const).every((name) => device.features.has(name));
  const isSoftware =
    adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(`${vendor} ${architecture} ${description}`);
  return {
    device,
    adapterInfo: adapter.info,
    isSoftware,
    memoryBytes: memoryBytesOf(adapter.info),
    matrixSizes: hasMatrices ? matrixSizesOf(adapter.info) : null,
  };
}

/** What tile_matrix.wgsl can use, the fastest first. */
const usableSizes: readonly MatrixSizes[] = [
  { m: 16, n: 16, k: 16 },
  { m: 16, n: 8, k: 16 },
  { m: 8, n: 8, k: 8 },
];

function matrixSizesOf(info: GPUAdapterInfo): MatrixSizes | null {
  const { vendor, subgroupMinSize, subgroupMaxSize } = info;
  // Apple's subgroups are of 32 all, though Dawn does not say so.
  if (vendor !== 'apple' && (subgroupMinSize !== 32 || subgroupMaxSize !== 32)) return null;
  const configs: unknown = Reflect.get(info, 'subgroupMatrixConfigs');
  if (!Array.isArray(configs)) return null;
  type Config = Partial<Record<'componentType' | 'resultComponentType' | 'M' | 'N' | 'K', unknown>>;
  const has = ({ m, n, k }: MatrixSizes): boolean =>
    (configs as Config[]).some(
      (config) =>
        config.componentType === 'f16' &&
        config.resultComponentType === 'f32' &&
        config.M === m &&
        config.N === n &&
        config.K === k,
    );
  return usableSizes.find(has) ?? null;
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
