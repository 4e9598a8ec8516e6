import { describe, expect, test } from 'vitest';
import { knownOperators } from './registry';
import { checkGradient } from './testing/check-gradient';
import { gradientCases, SAME_GRADIENT_AS } from './testing/gradient-cases';

describe('every gradient equals finite differences', () => {
  test.each(gradientCases.map((c) => [`${c.opType} ${c.what}`.trim(), c] as const))('%s', async (_, c) => void (await checkGradient(c)));
});

test('every operator that claims a gradient has a case; none claims a gradient and says why there is none', () => {
  const covered = new Set(gradientCases.map((c) => `${c.domain ?? ''}:${c.opType}`));
  const claims = [...knownOperators()].filter(([, o]) => o.gradient ?? o.training);
  expect(claims.map(([name]) => name).filter((name) => !covered.has(SAME_GRADIENT_AS.get(name) ?? name))).toEqual([]);
  expect(claims.filter(([, o]) => o.noGradient !== undefined).map(([name]) => name)).toEqual([]);
});
