/** The tests of a suite, run one after the other in the extension host; results go to a file, because a web page gives no exit code away. */
import { renameSync, writeFileSync } from 'node:fs';
import * as vscode from 'vscode';

export interface TestResult {
  readonly name: string;
  readonly ok: boolean;
  readonly milliseconds: number;
  readonly note?: string;
  readonly error?: string;
}

type Test = () => Promise<unknown>;

/** Room for a busy machine: nothing here is about time. */
const TEST_TIMEOUT = 420_000;

/** Runs everything, writes the results, and throws where anything failed: VS Code then reports exit code 1. */
export async function runTests(tests: Readonly<Record<string, Test>>): Promise<void> {
  const results: TestResult[] = [];
  const file = process.env['ESPALIER_SUITE_RESULTS'];
  const only = process.env['ESPALIER_TEST_ONLY'];
  for (const [name, test] of Object.entries(tests)) {
    if (only !== undefined && !name.includes(only)) continue;
    const start = performance.now();
    const outcome = await Promise.race([
      test().then((note) => ({ ok: true, ...(typeof note === 'string' ? { note } : {}) }), failure),
      timeout(name),
    ]);
    results.push({ name, milliseconds: Math.round(performance.now() - start), ...outcome });
    console.log(`${outcome.ok ? 'ok' : 'FAILED'} ${name}`);
    if (file !== undefined) {
      writeFileSync(`${file}.part`, JSON.stringify({ vscode: vscode.version, node: process.versions.node, results }));
      renameSync(`${file}.part`, file);
    }
  }
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length > 0) throw new Error(`failed: ${failed.map(({ name, error }) => `${name}: ${error}`).join('\n')}`);
}

const failure = (error: unknown): { ok: boolean; error: string } => ({
  ok: false,
  error: error instanceof Error ? (error.stack ?? error.message) : String(error),
});

function timeout(name: string): Promise<{ ok: boolean; error: string }> {
  return new Promise((resolve) => {
    setTimeout(() => resolve({ ok: false, error: `${name} took longer than ${TEST_TIMEOUT / 1000} s` }), TEST_TIMEOUT);
  });
}

/** Waits until `probe` gives something; throws what was last seen otherwise. */
export async function eventually<T>(what: string, probe: () => T | undefined | Promise<T | undefined>, seconds = 30): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found !== undefined && (found as unknown) !== false) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await pause(100);
  }
}

export const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
