// Plan: what passed, failed and was skipped is counted from each runner's own report, and what broke outside a test fails.
import { describe, expect, it } from 'vitest';
import { countOracle, countPlaywright, countVitest } from './count.mjs';

describe('countVitest', () => {
  it('counts tests by their outcome', () => {
    const statuses = ['passed', 'passed', 'failed', 'skipped', 'todo'];
    const file = { status: 'failed', assertionResults: statuses.map((status) => ({ status })) };
    expect(countVitest({ testResults: [file] })).toEqual({ passed: 2, failed: 1, skipped: 2 });
  });

  it('counts a file that could not be loaded as a failure', () => {
    expect(countVitest({ testResults: [{ status: 'failed', assertionResults: [] }] }).failed).toBe(1);
  });

  it('counts a hook that failed after its tests had passed as a failure', () => {
    const file = { status: 'failed', assertionResults: [{ status: 'passed' }] };
    expect(countVitest({ testResults: [file] })).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });
});

describe('countPlaywright', () => {
  it('takes a flaky test and an error outside the tests as failures', () => {
    const stats = { expected: 3, unexpected: 1, flaky: 1, skipped: 2 };
    expect(countPlaywright({ stats, errors: [{}] })).toEqual({ passed: 3, failed: 3, skipped: 2 });
  });
});

describe('countOracle', () => {
  it('counts verdicts, whatever else is printed', () => {
    const output = [
      'unet/base 1.2e-6 5e-5 pass',
      'vae/failing-input 3e-1 1e-4 fail',
      'rng/x - - unsupported',
      'done',
      '',
    ];
    expect(countOracle(output.join('\n'))).toEqual({ passed: 1, failed: 1, skipped: 1 });
  });
});
