/** Networks that lead back to images: transposed convolutions, and normalisations by image. */
import type { Value } from '../../src/engine/ops/builder';
import { type Network, topology } from './network';

function up(n: Network, name: string, x: Value, out: number, group = 1): Value {
  const c = x.shape[1];
  const w = n.weights(`${name}.weight`, [c, out / group, 2, 2], 1 / Math.sqrt(c / group));
  return n.b.op('ConvTranspose', [x, w, n.weights(`${name}.bias`, [out], 0.3)], { kernel_shape: [2, 2], strides: [2, 2], group }, { name });
}

const instanceNorm = (n: Network, name: string, x: Value): Value =>
  n.op('InstanceNormalization', name, [x, n.weights(`${name}.weight`, [x.shape[1]], 0.3, 1), n.weights(`${name}.bias`, [x.shape[1]], 0.3)]);

const prelu = (n: Network, name: string, x: Value): Value =>
  n.op('PRelu', name, [x, n.weights(`${name}.slope`, [x.shape[1], 1, 1], 0.1, 0.25)]);

export const decoderTopologies = [
  topology(
    'u-net',
    'conv1 → instance norm → relu → conv2 stride 2 → up; concat(relu, up) → conv3 → prelu → fc',
    { conv1: 8, conv2: 10, up: 6, conv3: 7 },
    (n) => {
      const full = n.relu('relu1', instanceNorm(n, 'norm', n.conv('conv1', n.input(3, 8, 8), 8)));
      const low = n.relu('relu2', n.conv('conv2', full, 10, 3, { stride: 2 }));
      const joined = n.op('Concat', 'concat', [full, up(n, 'up', low, 6)], { axis: 1 });
      return n.head(prelu(n, 'prelu', n.conv('conv3', joined, 7)));
    },
  ),
  topology(
    'upsampling',
    'conv1 → depthwise up → 1×1 → up in 2 groups → conv3 → fc: groups lose the same places',
    { conv1: 6, point: 4, up2: 3, conv3: 5 },
    (n) => {
      const x = up(n, 'up1', n.relu('relu1', n.conv('conv1', n.input(3, 4, 4), 6)), 6, 6);
      const wide = up(n, 'up2', n.relu('relu2', n.conv('point', x, 8, 1)), 6, 2);
      return n.head(n.relu('relu3', n.conv('conv3', wide, 5)));
    },
    { input: [2, 3, 4, 4] },
  ),
];
