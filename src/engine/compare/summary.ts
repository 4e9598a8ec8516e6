/** Medians and spread over seeds, and who was better than whom with the same seed. */
import type { CellResult } from './cell';

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface MethodSummary {
  readonly method: string;
  readonly seeds: number;
  /** In how many of them the goal was met. */
  readonly goalMet: number;
  readonly accuracy: Spread;
  readonly flops: Spread;
  readonly params: Spread;
  readonly bytes: Spread;
  readonly ms1: Spread | null;
  readonly scorings: Spread;
  readonly completePolicies: Spread;
  readonly trainingSteps: Spread;
  readonly seconds: Spread;
  readonly scoringsToBest: Spread | null;
  readonly secondsToBest: Spread | null;
  /** Of the seeds that both have: in how many it met the goal and was more accurate than the other method, or the other one missed the goal. */
  readonly wins: ReadonlyArray<{ readonly over: string; readonly won: number; readonly of: number }>;
}

/** Those every method is held against. */
const YARDSTICKS = ['random-search', 'uniform', 'amc'];

/** @param values at least one; the median of an even number is the mean of the middle two */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, low: sorted[0], high: sorted[sorted.length - 1] };
}

/** One summary a method: those that met the goal in most seeds first, and of these the most accurate. */
export function summarize(results: readonly CellResult[]): MethodSummary[] {
  const names = [...new Set(results.map((r) => r.method))];
  const of = (method: string): CellResult[] => results.filter((r) => r.method === method);
  return names
    .map((method): MethodSummary => {
      const own = of(method);
      const figure = (value: (r: CellResult) => number): Spread => spread(own.map(value));
      const some = (value: (r: CellResult) => number | null): Spread | null => {
        const known = own.map(value).filter((v): v is number => v !== null);
        return known.length > 0 ? spread(known) : null;
      };
      return {
        method,
        seeds: own.length,
        goalMet: own.filter((r) => r.goalMet).length,
        accuracy: figure((r) => r.accuracy),
        flops: figure((r) => r.effectiveFlops),
        params: figure((r) => r.effectiveParams),
        bytes: figure((r) => r.bytes),
        ms1: some((r) => r.ms1),
        scorings: figure((r) => r.scorings),
        completePolicies: figure((r) => r.completePolicies),
        trainingSteps: figure((r) => r.trainingSteps),
        seconds: figure((r) => r.seconds),
        scoringsToBest: some((r) => r.scoringsToBest),
        secondsToBest: some((r) => r.secondsToBest),
        wins: YARDSTICKS.filter((y) => y !== method && names.includes(y)).map((over) => {
          const pairs = own.flatMap((r) => {
            const other = of(over).find((o) => o.seed === r.seed);
            return other ? [[r, other] as const] : [];
          });
          const better = (a: CellResult, b: CellResult): boolean => a.goalMet && (!b.goalMet || a.accuracy > b.accuracy);
          return { over, won: pairs.filter(([a, b]) => better(a, b)).length, of: pairs.length };
        }),
      };
    })
    .sort((a, b) => b.goalMet / b.seeds - a.goalMet / a.seeds || b.accuracy.median - a.accuracy.median);
}
