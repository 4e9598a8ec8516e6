import { defineConfig } from 'vitest/config';

// Where it is set (by .ci/run), results are also written there, for the count at the end.
const results = process.env['ESPALIER_TEST_RESULTS'];

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts', 'test/runs/**/*.test.ts'],
    testTimeout: 60_000,
    // onnxruntime and tfjs are native or stateful: one process per file keeps them apart.
    pool: 'forks',
    maxWorkers: 2,
    reporters: results ? ['default', ['json', { outputFile: `${results}/unit.json` }]] : ['default'],
  },
});
