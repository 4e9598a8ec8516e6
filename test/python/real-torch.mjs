/**
 * The way of a PyTorch model through a real interpreter: export by media/python/export_model.py, called as the extension calls it, then the ONNX file
 * held against torch's own answers and shown by `espalier inspect`. Prints a transcript; the exit code is 1 where anything is not as it should be.
 * Usage: node test/python/real-torch.mjs [INTERPRETER], or ESPALIER_PYTHON=INTERPRETER. Needs dist/cli.js (npm run build); torch and onnx in the interpreter.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withInterpreter } from './interpreter.mjs';

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

await withInterpreter('torch and onnx', async ({ python, folder, say, exportModel, difference, inspect }) => {
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
  const off = await difference(to, { x, shape: [2, 3, 32, 32], y });
  say(`\nonnxruntime against torch, 2 images: largest difference ${off.toExponential(1)} (allowed ${TOLERANCE})`);
  assert.ok(off <= TOLERANCE);

  const graph = inspect(to);
  const operators = graph.nodes.map((node) => node.opType);
  for (const operator of ['Conv', 'BatchNormalization', 'Gemm']) assert.ok(operators.includes(operator), `${operator} is in the graph`);
  // The shortcut couples the stem with the block: one group of 16 channels.
  assert.deepEqual(
    graph.groups.filter((g) => g.prunable).map((g) => g.channels),
    [16],
  );
});
