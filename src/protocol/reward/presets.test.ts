import { describe, expect, it } from 'vitest';
import { REWARD_PRESET_NAMES, REWARD_PRESETS } from './presets';
import { compileReward } from './reward';

function value(text: string, values: Record<string, number>): number {
  const { reward, problems } = compileReward(text);
  expect(problems).toEqual([]);
  const result = reward!.evaluate(values);
  expect(result.problem).toBeUndefined();
  return result.value!;
}

describe('presets equal values worked out by hand', () => {
  it.each([
    // 0.9 + (1 − (60 − 20)/(100 − 20)) = 0.9 + 0.5
    ['synthetic', { accuracy: 0.9, flops: 60, flopsHigh: 100, flopsLow: 20 }, 1.4],
    // The range is still empty: accuracy alone.
    ['synthetic', { accuracy: 0.9, flops: 60, flopsHigh: 60, flopsLow: 60 }, 0.9],
    ['accuracy', { accuracy: 0.75 }, 0.75],
    // −0.2 · ln 1000 = −0.2 · 6.907755
    ['amc-flops', { accuracy: 0.8, flops: 1000 }, -1.381551],
    // −0.25 · ln 100 = −0.25 · 4.605170
    ['amc-params', { accuracy: 0.75, params: 100 }, -1.151293],
    // −5 (1 − 0.72/0.9 + 1 − 0.4/0.8) = −5 (0.2 + 0.5)
    ['purl', { accuracy: 0.72, targetAccuracy: 0.9, sparsity: 0.4, targetSparsity: 0.8 }, -3.5],
    // Both targets met.
    ['purl', { accuracy: 0.95, targetAccuracy: 0.9, sparsity: 0.9, targetSparsity: 0.8 }, 0],
    // C = 0.75: 0.75 · 1.25 · 0.8/1
    ['n2n', { params: 25, params0: 100, accuracy: 0.8, accuracy0: 1 }, 0.75],
    ['n2n', { params: 25, params0: 100, accuracy: 0, accuracy0: 1 }, -1],
    // φ = 1 − 0.01/0.02 = 0.5, ψ = 64/16 = 4
    ['rlp', { accuracy: 0.9, accuracy0: 0.91, dropBound: 0.02, channels0: 64, channels: 16 }, 2],
    // A gain in accuracy is paid: φ = 1.5
    ['rlp', { accuracy: 0.92, accuracy0: 0.91, dropBound: 0.02, channels0: 64, channels: 32 }, 3],
    // 0.9 − 2 (75/50 − 1)
    ['crl', { accuracy: 0.9, lambda: 2, flops: 75, budget: 50 }, -0.1],
    // Below the budget the same term pays.
    ['crl', { accuracy: 0.9, lambda: 2, flops: 40, budget: 50 }, 1.3],
  ] as const)('%s of %o', (name, values, expected) => {
    expect(value(name, values)).toBeCloseTo(expected, 6);
    // Shown as a formula and used as one, it is the same.
    expect(value(REWARD_PRESETS.get(name)!.formula, values)).toBe(value(name, values));
  });

  it('has every preset tested above and described', () => {
    expect([...REWARD_PRESET_NAMES].sort()).toEqual(['accuracy', 'amc-flops', 'amc-params', 'crl', 'n2n', 'purl', 'rlp', 'synthetic']);
    for (const preset of REWARD_PRESETS.values()) expect(preset.description.length).toBeGreaterThan(20);
  });
});

describe('naming a reward', () => {
  it('tells presets from formulas', () => {
    expect(compileReward(' amc-flops ').reward).toMatchObject({ preset: 'amc-flops', names: ['accuracy', 'flops'] });
    expect(compileReward('accuracy - flops / flops0').reward?.preset).toBeUndefined();
  });

  it.each([
    ['syntetic', 'synthetic'],
    ['amc-flop', 'amc-flops'],
    ['purll', 'purl'],
  ])('%s suggests the preset %s', (text, suggestion) => {
    const { problems } = compileReward(text);
    expect(problems).toEqual([
      { message: `unknown reward '${text}' (did you mean the preset ${suggestion}?)`, range: { start: 0, end: text.length }, suggestion },
    ]);
  });

  it('a mistyped name stays a mistyped name', () => {
    expect(compileReward('acuracy').problems[0].message).toBe("unknown name 'acuracy' (did you mean accuracy?)");
  });

  it("uses the config's constants", () => {
    expect(compileReward('accuracy * weight', { weight: 3 }).reward?.evaluate({ accuracy: 0.5 })).toEqual({ value: 1.5 });
  });
});
