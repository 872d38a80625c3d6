/** How many tests passed and failed, read from the reports that the test runners write for machines. */

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/**
 * @typedef {object} VitestReport
 * @property {{ status: string, assertionResults: { status: string }[] }[]} testResults one for each file
 */

/**
 * A file that broke before its tests could run counts as one failure.
 * @param {VitestReport} report
 * @returns {Count}
 */
export function countVitest(report) {
  const tests = report.testResults.flatMap((file) => file.assertionResults);
  const passed = tests.filter((test) => test.status === 'passed').length;
  const failed = tests.filter((test) => test.status === 'failed').length;
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  return { passed, failed: failed + broken, skipped: tests.length - passed - failed };
}

/** @typedef {{ stats: { expected: number, unexpected: number, flaky: number, skipped: number }, errors: unknown[] }} PlaywrightReport */

/**
 * An error outside any test (a spec that does not parse, a server that does not start) counts as one failure.
 * @param {PlaywrightReport} report
 * @returns {Count}
 */
export function countPlaywright({ stats, errors }) {
  return { passed: stats.expected, failed: stats.unexpected + stats.flaky + errors.length, skipped: stats.skipped };
}

/**
 * The oracle prints one line a case that ends in `pass`, `fail` or `unsupported`.
 * @param {string} output
 * @returns {Count}
 */
export function countOracle(output) {
  /** @param {string} verdict */
  const lines = (verdict) => output.split('\n').filter((line) => line.trimEnd().split(/\s+/).includes(verdict)).length;
  return { passed: lines('pass'), failed: lines('fail'), skipped: lines('unsupported') };
}
