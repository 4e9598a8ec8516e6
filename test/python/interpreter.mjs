/** What the scripts with a real interpreter share: exports called as the extension calls them, ONNX files run and shown, and a transcript without this machine's paths. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const script = join(root, 'media', 'python', 'export_model.py');
const cli = join(root, 'dist', 'cli.js');

/** The interpreter that the command line or ESPALIER_PYTHON names; ends the process where something is missing. */
function chosenPython(needs) {
  const python = process.argv[2] ?? process.env.ESPALIER_PYTHON;
  if (!python) console.error(`usage: node ${process.argv[1]} INTERPRETER (one that has ${needs}), or ESPALIER_PYTHON=INTERPRETER`);
  else if (!existsSync(cli)) console.error(`${cli} is not there: run \`npm run build\` first`);
  else return python;
  process.exit(2);
}

/** Calls `use` with what a script needs, in a folder of its own that is removed in the end. @param needs packages, for the usage line */
export async function withInterpreter(needs, use) {
  const python = chosenPython(needs);
  const folder = mkdtempSync(join(tmpdir(), 'espalier-python-'));
  const shown = (text) => text.replaceAll(folder, '.').replaceAll(root, '<checkout>').replaceAll(python, 'python');
  const say = (text) => console.log(shown(text));

  /** As src/host/python/export-python.ts does: the answer is the last line of the standard output. */
  async function exportModel(request) {
    const child = spawn(python, [script, JSON.stringify(request)], {
      cwd: dirname(request.file ?? join(folder, 'net.py')),
      env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      errors += data;
    });
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const answer = output.trimEnd().split(/\r?\n/).pop();
    say(`\n$ python export_model.py '${JSON.stringify(request)}'\n${answer}`);
    assert.equal(code, 0, errors);
    return JSON.parse(answer);
  }

  /** Largest difference between what a file answers in onnxruntime and `answers`. */
  async function difference(file, { x, shape, y }) {
    const session = await ort.InferenceSession.create(file);
    try {
      const results = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', Float32Array.from(x), shape) });
      const output = results[session.outputNames[0]];
      assert.equal(output.size, y.length);
      return Math.max(...y.map((value, i) => Math.abs(value - output.data[i])));
    } finally {
      await session.release();
    }
  }

  /** Shows a file as `espalier inspect` does. @returns its graph */
  function inspect(file) {
    const inspected = execFileSync(process.execPath, [cli, 'inspect', file], { encoding: 'utf8' });
    say(`\n$ espalier inspect ${file.slice(folder.length + 1)}\n${inspected.trim()}`);
    return JSON.parse(execFileSync(process.execPath, [cli, 'inspect', file, '--json'], { encoding: 'utf8' }));
  }

  try {
    await use({ python, folder, say, exportModel, difference, inspect });
    say('\nall as it should be');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
