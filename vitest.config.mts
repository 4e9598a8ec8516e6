import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Where it is set (by .ci/run), results are also written there, for the count at the end.
const results = process.env['ESPALIER_TEST_RESULTS'];

export default defineConfig({
  // Parts of the host have texts, which are the editor's to translate.
  resolve: { alias: { vscode: fileURLToPath(new URL('test/unit/vscode-stand-in.ts', import.meta.url)) } },
  test: {
    include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts', 'test/runs/**/*.test.ts'],
    // A bound for what hangs, not for what is slow: machines are, and are shared.
    testTimeout: 180_000,
    // onnxruntime and tfjs are native or stateful: one process per file keeps them apart.
    pool: 'forks',
    maxWorkers: 2,
    reporters: results ? ['default', ['json', { outputFile: `${results}/unit.json` }]] : ['default'],
  },
});
