import { describe, expect, it } from 'vitest';
import { REWARD_PRESETS } from '../../protocol/reward/presets';
import { EXAMPLE_CONTEXT, previewSvg, rewardGrid } from './reward-preview';

const options = { context: EXAMPLE_CONTEXT, points: [{ accuracy: 0.88, flops: 40e6 }], flopsHigh: 100e6, flopsLow: 10e6 };

describe('grid', () => {
  it.each([...REWARD_PRESETS.keys()])('preset %s has a value everywhere, and rises to the right', (preset) => {
    const grid = rewardGrid(preset, {}, options)!;
    const values = grid.values.flat();
    expect(values).not.toContain(null);
    for (const row of grid.values) expect(row.at(-1)!).toBeGreaterThanOrEqual(row[0]!);
  });
  it('fewer FLOPs lie below', () => {
    const { values } = rewardGrid('-flops', {}, options)!;
    expect(values.at(-1)![0]!).toBeGreaterThan(values[0][0]!);
  });
  it('a formula with an error has none', () => expect(rewardGrid('acuracy', {}, options)).toBeUndefined());
  it('places without a value stay empty', () => {
    const grid = rewardGrid('log(accuracy - 0.8)', {}, options)!;
    expect(grid.values[0][0]).toBeNull();
    expect(grid.values[0].at(-1)).not.toBeNull();
  });
});

it('the picture has a cell for each value and a point for each candidate', () => {
  const grid = rewardGrid('accuracy', {}, options)!;
  const svg = previewSvg(grid, options);
  expect(svg.match(/<rect/g)).toHaveLength(grid.values.flat().length);
  expect(svg.match(/<circle/g)).toHaveLength(1);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});
