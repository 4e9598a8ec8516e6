import { defineConfig } from 'vitest/config';

// Where it is set (by .ci/run), results are also written there, for the count at the end.
const results = process.env['ESPALIER_TEST_RESULTS'];

export default defineConfig({
  test: {
    include: ['test/webview/**/*.test.ts', 'webview/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    // What the page shows follows a message a moment later.
    expect: { poll: { timeout: 10_000 } },
    reporters: results ? ['default', ['json', { outputFile: `${results}/webview.json` }]] : ['default'],
  },
});
