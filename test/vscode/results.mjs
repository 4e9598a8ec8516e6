/** What a suite in the extension host wrote down: one line a test. */
import { existsSync, readFileSync, rmSync } from 'node:fs';

/**
 * Prints the results in `file`, which is removed.
 * @returns the results; undefined where the suite wrote none
 */
export function printResults(suite, file, milliseconds) {
  if (!existsSync(file)) return undefined;
  const report = JSON.parse(readFileSync(file, 'utf8'));
  rmSync(file);
  console.log(`\n${suite}: VS Code ${report.vscode}, Node ${report.node}, ${(milliseconds / 1000).toFixed(0)} s`);
  for (const { ok, name, milliseconds: took, note, error } of report.results) {
    console.log(` ${ok ? '✓' : '✗'} ${name} (${took} ms)${note ? `: ${note}` : ''}`);
    if (error) console.log(error.replace(/^/gm, '     '));
  }
  return report.results;
}
