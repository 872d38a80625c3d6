/**
 * Counts every dispatch of a device by pipeline, tfjs' own ops included: the runtime's counters know only our kernels.
 * Our pipelines are named `kernel|constants`, tfjs' after the class of the program.
 */
export interface DispatchCounts {
  /** Since the last {@link reset}. */
  readonly total: number;
  /** Bind groups made since then: none, once everything is cached. */
  readonly bindGroups: number;
  /** By kernel, most first. */
  byKernel(): [name: string, count: number][];
  reset(): void;
}

/** Starts counting on `device`. Call before anything records commands. */
export function countDispatches(device: GPUDevice): DispatchCounts {
  const counts = new Map<string, number>();
  let total = 0;
  let bindGroups = 0;
  const kernels = new WeakMap<GPUComputePipeline, string>();
  const kernelOf = (pipeline: GPUComputePipeline): string => {
    let kernel = kernels.get(pipeline);
    if (kernel === undefined) kernels.set(pipeline, (kernel = pipeline.label.split('|')[0]!));
    return kernel;
  };
  const createBindGroup = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    bindGroups++;
    return createBindGroup(descriptor);
  };
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = beginComputePass(passDescriptor);
      let kernel = '';
      const setPipeline = pass.setPipeline.bind(pass);
      pass.setPipeline = (pipeline) => {
        kernel = kernelOf(pipeline);
        return setPipeline(pipeline);
      };
      const dispatchWorkgroups = pass.dispatchWorkgroups.bind(pass);
      pass.dispatchWorkgroups = (x, y, z) => {
        total++;
        counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
        return dispatchWorkgroups(x, y, z);
      };
      return pass;
    };
    return encoder;
  };
  return {
    get total() {
      return total;
    },
    get bindGroups() {
      return bindGroups;
    },
    byKernel: () => [...counts].sort(([, a], [, b]) => b - a),
    reset: () => {
      counts.clear();
      total = 0;
      bindGroups = 0;
    },
  };
}
