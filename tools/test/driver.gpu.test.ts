// Plan: the driver under test is the one its project names, has or lacks shader-f16 as we rely on, and runs a kernel that
// is imported the way src/gpu/kernels imports its own.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fill from './fill.wgsl?raw';

let adapter: GPUAdapter;
let device: GPUDevice;

beforeAll(async () => {
  const found = await navigator.gpu.requestAdapter();
  if (found === null) throw new Error('no adapter');
  adapter = found;
  device = await adapter.requestDevice();
});

afterAll(() => device.destroy());

describe(`driver ${process.env['GPU_TEST_DRIVER']}`, () => {
  it('has or lacks shader-f16, so that both variants of every kernel are tested', () => {
    expect(adapter.features.has('shader-f16')).toBe(process.env['GPU_TEST_SHADER_F16'] === 'true');
  });

  it('runs a kernel', async () => {
    const count = 100;
    const storage = device.createBuffer({ size: 4 * count, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
    const readback = device.createBuffer({ size: 4 * count, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const pipeline = device.createComputePipeline({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code: fill }) },
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer: storage } }],
      }),
    );
    pass.dispatchWorkgroups(Math.ceil(count / 64));
    pass.end();
    encoder.copyBufferToBuffer(storage, 0, readback, 0, 4 * count);
    device.queue.submit([encoder.finish()]);
    await readback.mapAsync(GPUMapMode.READ);
    const result = [...new Float32Array(readback.getMappedRange())];
    expect(result).toEqual(Array.from({ length: count }, (_, index) => 2 * index));
  });
});
