import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'],
    testTimeout: 60_000,
    // onnxruntime and tfjs are native or stateful: one process per file keeps them apart.
    pool: 'forks',
    maxWorkers: 2,
  },
});
