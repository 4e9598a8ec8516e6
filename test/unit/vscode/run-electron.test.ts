/** `npm run test:electron` up to the launch: what desktop VS Code is started with, and what becomes of its answer. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const root = resolve(__dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'espalier-electron-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Seen {
  readonly args: readonly string[];
  readonly suite: string;
  readonly exports: ReadonlyArray<readonly [string, string]>;
  readonly extension: { readonly name: string; readonly main: string };
  readonly workspace: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly asNode: string | null;
  readonly python: string;
}

/** Runs the launcher with a stand-in for the editor. */
function launch(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string; seen: Seen[] }> {
  const file = join(folder, `${Math.floor(performance.now() * 1000)}.jsonl`);
  return new Promise((done) => {
    execFile(
      process.execPath,
      [join(root, 'test/vscode/run-electron.mjs'), ...args],
      {
        env: {
          ...process.env,
          ESPALIER_VSCODE: join(root, 'test/vscode/fixtures/fake-editor.mjs'),
          ESPALIER_FAKE_EDITOR: file,
          ELECTRON_RUN_AS_NODE: '1',
          ...env,
        },
      },
      (error, stdout, stderr) => {
        const seen = existsSync(file)
          ? readFileSync(file, 'utf8')
              .trim()
              .split('\n')
              .map((line) => JSON.parse(line) as Seen)
          : [];
        done({ code: error ? Number(error.code) : 0, output: stdout + stderr, seen });
      },
    );
  });
}

// The stand-in is a script, which Windows does not start by itself.
describe.skipIf(process.platform === 'win32')('the desktop launcher', () => {
  test('starts each suite on the extension, in a fresh workspace and profile', async () => {
    const { code, output, seen } = await launch([]);
    expect(output).toContain('✓ nothing is wrong');
    expect(code).toBe(0);
    expect(seen.map(({ suite }) => suite.replace(/^.*[\\/]/, ''))).toEqual([
      'trusted.cjs',
      'methods.cjs',
      'untrusted.cjs',
      'workerless.cjs',
    ]);
    for (const each of seen) {
      expect(each.exports).toContainEqual(['run', 'function']);
      expect(each.extension.name).toBe('espalier');
      expect(each.workspace).toEqual(expect.arrayContaining(['train.py', 'build.ts', 'net.espalier.json', 'small.onnx']));
      expect(each.settings).toMatchObject({ 'telemetry.telemetryLevel': 'off', 'git.enabled': false });
      expect(existsSync(each.python)).toBe(true);
      expect(each.asNode).toBeNull();
      // Profile and workspace are its own, and gone afterwards.
      const user = each.args[each.args.indexOf('--user-data-dir') + 1];
      for (const path of [each.args[0], dirname(user)]) expect(existsSync(path)).toBe(false);
    }
    const untrusted = seen[2];
    expect(untrusted.settings).toMatchObject({ 'security.workspace.trust.enabled': true });
    expect(untrusted.args).not.toContain('--disable-workspace-trust');
    expect(seen[0].settings).toMatchObject({ 'security.workspace.trust.enabled': false });
    expect(new Set(seen.map(({ args }) => args[0])).size).toBe(4);
  });

  test('fails where a test fails, or where the editor says nothing', async () => {
    const failed = await launch(['--suite', 'untrusted'], { ESPALIER_FAKE_FAILING: '1' });
    expect(failed.output).toContain('✗ nothing is wrong');
    expect(failed.code).toBe(1);
    const silent = await launch(['--suite', 'untrusted'], { ESPALIER_FAKE_SILENT: '1' });
    expect(silent.output).toContain('untrusted: no results; VS Code ended with 0');
    expect(silent.code).toBe(1);
  });

  test.each([
    ['as the interpreter itself', [join(root, 'test/vscode/fixtures/fake-python.mjs')], ''],
    [
      'loaded by Node before the script',
      [process.execPath],
      `--import=${pathToFileURL(join(root, 'test/vscode/fixtures/fake-python.mjs')).href}`,
    ],
  ])('the stand-in for Python answers, %s', (_, [interpreter], options) => {
    writeFileSync(join(folder, 'small.onnx'), 'a model');
    const request = { file: join(folder, 'train.py'), name: 'Net', arguments: '', to: join(folder, 'net.onnx') };
    const output = execFileSync(interpreter, [join(root, 'media/python/export_model.py'), JSON.stringify(request)], {
      env: { ...process.env, NODE_OPTIONS: options },
      encoding: 'utf8',
    });
    expect(JSON.parse(output.trim().split('\n').at(-1)!)).toEqual({ path: request.to, packages: { torch: '2.0' } });
    expect(readFileSync(request.to, 'utf8')).toBe('a model');
    rmSync(request.to);
  });

  test('names what is wrong with its arguments', async () => {
    expect(await launch(['--suite', 'other'])).toMatchObject({ code: 1, output: expect.stringContaining('there is no suite other') });
    expect(await launch([], { ESPALIER_VSCODE: '/no/such/code' })).toMatchObject({
      code: 1,
      output: expect.stringContaining('ESPALIER_VSCODE: there is no file /no/such/code'),
    });
  });
});
