/** N2N: what the config's `layers` leaves to the two searches. */
import { expect, test } from 'vitest';
import { configSchema } from '../../protocol/config';
import { lenet5 } from '../architectures/lenet5';
import { countCosts } from '../graph/costs';
import { Random } from '../random';
import { removableParts, shrinkProblem } from './student-stage';

const model = lenet5.build({ classes: 10, random: new Random(1) });
const costs = countCosts(model);
const configWith = (layers: object, change: object = {}) => configSchema.parse({ model: 'lenet5.onnx', method: 'n2n', layers, ...change });
const partsWith = (layers: object): string[] => removableParts({ model }, configWith(layers)).map((p) => p.name);

test('parts are kept by names and by patterns; a later pattern may lift a skip', () => {
  const all = partsWith({});
  expect(all).toContain('fc1');
  expect(partsWith({ fc1: { skip: true } })).toEqual(all.filter((n) => n !== 'fc1'));
  expect(partsWith({ 'f*': { skip: true } })).toEqual(all.filter((n) => !n.startsWith('f')));
  expect(partsWith({ 'f*': { skip: true }, fc1: { skip: false } })).toEqual(all.filter((n) => n === 'fc1' || !n.startsWith('f')));
});

test('a group with one fixed narrower width is narrowed, as the budget counts on; one that is fixed at its width is not', () => {
  const config = configWith({ conv1: { ratio: 0.5 }, conv2: { ratio: 0 } }, { goal: { params: 0.6 } });
  const { groups, cost, budget } = shrinkProblem({ network: model, costs }, costs, { config });
  const of = (layer: string) => groups.find((g) => g.id.includes(layer));
  expect(of('conv1')?.choices).toEqual({ channels: 6, widths: [3] });
  expect(of('conv2')).toBeUndefined();
  expect(budget).toBeDefined();
  expect(cost({ ratios: { [of('conv1')!.id]: 0.5 }, bits: {} }).params).toBeLessThan(costs.params);
});
