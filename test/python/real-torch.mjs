/**
 * The way of a PyTorch model through a real interpreter: export by media/python/export_model.py, called as the extension calls it, then the ONNX file
 * held against torch's own answers and shown by `espalier inspect`. Prints a transcript; the exit code is 1 where anything is not as it should be.
 * Usage: node test/python/real-torch.mjs [INTERPRETER], or ESPALIER_PYTHON=INTERPRETER. Needs dist/cli.js (npm run build); torch and onnx in the interpreter.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const script = join(root, 'media', 'python', 'export_model.py');
const cli = join(root, 'dist', 'cli.js');
const python = process.argv[2] ?? process.env.ESPALIER_PYTHON;
if (!python) {
  console.error('usage: node test/python/real-torch.mjs INTERPRETER (one that has torch and onnx), or ESPALIER_PYTHON=INTERPRETER');
  process.exit(2);
}
if (!existsSync(cli)) {
  console.error(`${cli} is not there: run \`npm run build\` first`);
  process.exit(2);
}

const NET = `import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm(self.conv(x)))


class Net(nn.Module):
    def __init__(self, num_classes, width=16):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.block = Block(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.block(torch.relu(self.stem(x)))
        return self.head(x.mean(dim=(2, 3)))
`;

/** Trained weights as a person would have them, and what torch answers with them. */
const PREPARE = `import json, sys, torch
from net import Net
torch.manual_seed(1)
net = Net(num_classes=10)
net.block.norm.running_mean.uniform_(-1, 1)
net.block.norm.running_var.uniform_(0.5, 2)
torch.save({"state_dict": net.state_dict()}, "net.pt")
x = torch.rand(2, 3, 32, 32)
with torch.no_grad():
    y = net.eval()(x)
json.dump({"x": x.flatten().tolist(), "y": y.flatten().tolist()}, open("answers.json", "w"))
`;

/** Largest difference to torch's answers; float sums in another order differ in the last digits. */
const TOLERANCE = 1e-5;

const folder = mkdtempSync(join(tmpdir(), 'espalier-torch-'));
/** Without this machine's paths, so that a transcript can be shown. */
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
  say(`\n$ python export_model.py '${JSON.stringify(request)}'\n${output.trim()}`);
  assert.equal(code, 0, errors);
  return JSON.parse(output.trimEnd().split(/\r?\n/).pop());
}

async function main() {
  const source = join(folder, 'net.py');
  const to = join(folder, 'net.onnx');
  writeFileSync(source, NET);
  say(`$ cat net.py\n${NET}`);

  const { python: version, packages } = await exportModel({ describe: true });
  assert.match(version, /^3\./);
  assert.ok(packages.torch && packages.onnx, 'the interpreter has torch and onnx');

  writeFileSync(join(folder, 'prepare.py'), PREPARE);
  execFileSync(python, ['prepare.py'], { cwd: folder, stdio: 'inherit' });
  const request = { file: source, name: 'Net', kind: 'torch-module', to };

  const missing = await exportModel({ ...request, arguments: '', inputShape: [1, 3, 32, 32] });
  assert.match(missing.error, /^Net\(\) failed: .*num_classes/);
  assert.ok(missing.hint && !existsSync(to));

  const unknown = await exportModel({ ...request, name: 'Nett', arguments: '', inputShape: [1, 3, 32, 32] });
  assert.equal(unknown.error, "net.py has no 'Nett' at its top level.");

  const answer = await exportModel({
    ...request,
    arguments: 'num_classes=10',
    inputShape: [1, 3, 32, 32],
    weights: join(folder, 'net.pt'),
  });
  assert.equal(answer.path, to);

  const { x, y } = JSON.parse(readFileSync(join(folder, 'answers.json'), 'utf8'));
  const session = await ort.InferenceSession.create(to);
  const { output } = await session.run({ input: new ort.Tensor('float32', Float32Array.from(x), [2, 3, 32, 32]) });
  await session.release();
  assert.deepEqual([...output.dims], [2, 10]);
  const difference = Math.max(...y.map((value, i) => Math.abs(value - output.data[i])));
  say(`\nonnxruntime against torch, 2 images: largest difference ${difference.toExponential(1)} (allowed ${TOLERANCE})`);
  assert.ok(difference <= TOLERANCE);

  const inspected = execFileSync(process.execPath, [cli, 'inspect', to], { encoding: 'utf8' });
  say(`\n$ espalier inspect net.onnx\n${inspected.trim()}`);
  const graph = JSON.parse(execFileSync(process.execPath, [cli, 'inspect', to, '--json'], { encoding: 'utf8' }));
  const operators = graph.nodes.map((node) => node.opType);
  for (const operator of ['Conv', 'BatchNormalization', 'Gemm']) assert.ok(operators.includes(operator), `${operator} is in the graph`);
  // The shortcut couples the stem with the block: one group of 16 channels.
  assert.deepEqual(
    graph.groups.filter((g) => g.prunable).map((g) => g.channels),
    [16],
  );
  say('\nall as it should be');
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
