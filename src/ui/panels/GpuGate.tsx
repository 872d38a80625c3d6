import { RotateCw } from 'lucide-react';
import { Logo } from '../components/Logo.tsx';
import { useStudio } from '../StudioContext.tsx';

const browsers = [
  {
    name: 'Chrome or Edge',
    detail: 'Version 121 or newer on Windows, macOS, ChromeOS and Android. The safest choice.',
  },
  {
    name: 'Chrome on Linux',
    detail: 'Open chrome://flags, switch on “Unsafe WebGPU Support” and “Vulkan”, restart the browser.',
  },
  { name: 'Safari', detail: 'Version 26 or newer on macOS, iPadOS and iOS.' },
  { name: 'Firefox', detail: 'Version 141 or newer on Windows, 145 or newer on Macs with Apple silicon.' },
];

/** Shown instead of the studio when there is no WebGPU: kindly, and with a way out. */
export function GpuGate() {
  const gpu = useStudio((state) => state.gpu);
  const gpuGateClosed = useStudio((state) => state.gpuGateClosed);
  if (gpu.status !== 'unavailable') return null;
  return (
    <main className="gate">
      <div className="gate-body">
        <Logo />
        <h1>Loratory needs your graphics card, and this browser does not lend it</h1>
        <p className="gate-lead">
          Everything here runs on your own machine, through a browser feature called WebGPU. It is switched off or
          missing right now.
        </p>
        <div className="gate-error" role="alert">
          <p>{gpu.error.message}</p>
          {gpu.error.remedy !== '' && <p>{gpu.error.remedy}</p>}
        </div>
        {!isSecureContext && (
          <p className="gate-hint">
            This page was opened without encryption. Open it by https:// or on localhost: browsers hide WebGPU
            elsewhere.
          </p>
        )}
        <h2>Where it works</h2>
        <dl className="gate-list">
          {browsers.map(({ name, detail }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{detail}</dd>
            </div>
          ))}
        </dl>
        <p className="gate-hint">
          In any browser, hardware acceleration must be on: look for “Use graphics acceleration when available” in its
          settings, and keep the graphics driver up to date.
        </p>
        <div className="gate-actions">
          <button type="button" className="button button-primary button-large" onClick={() => location.reload()}>
            <RotateCw size={15} aria-hidden="true" /> Check again
          </button>
          <button type="button" className="button button-quiet button-large" onClick={gpuGateClosed}>
            Look around without a GPU
          </button>
        </div>
      </div>
    </main>
  );
}
