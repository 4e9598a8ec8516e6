/** A reward ready for use: a preset's name or a formula, read and checked once, then evaluated for every outcome. */
import { nearestName } from '../nearest-name';
import { evaluateExpression, type RewardResult, type RewardValues } from './evaluator';
import { type Expression, type FormulaProblem, namesUsed } from './expression';
import { parseFormula } from './parser';
import { REWARD_PRESETS } from './presets';

export interface CompiledReward {
  /** The formula, also where a preset was named. */
  readonly formula: string;
  /** Name of the preset, where one was named. */
  readonly preset?: string;
  readonly expression: Expression;
  /** Names the formula reads, so that only what is needed is measured (`latency` is the costly one). */
  readonly names: readonly string[];
  evaluate(values: RewardValues): RewardResult;
}

export type RewardReading =
  | { readonly reward: CompiledReward; readonly problems: readonly [] }
  | { readonly reward?: undefined; readonly problems: readonly FormulaProblem[] };

/**
 * Reads a preset's name or a formula. Never throws.
 * `accuracy`, both a preset and a name, means the same either way.
 * @param constants the config's own, by name; `values` given at evaluation win over them
 */
export function compileReward(text: string, constants: Readonly<Record<string, number>> = {}): RewardReading {
  const trimmed = text.trim();
  const preset = REWARD_PRESETS.get(trimmed);
  const formula = preset?.formula ?? text;
  const { expression, problems } = parseFormula(formula, Object.keys(constants));
  if (!expression) return { problems: withPresetSuggestion(text, problems) };
  return {
    problems: [],
    reward: {
      formula,
      ...(preset ? { preset: preset.name } : {}),
      expression,
      names: namesUsed(expression),
      evaluate: (values) => evaluateExpression(expression, { ...constants, ...values }),
    },
  };
}

/** A text such as `syntetic` or `amc-flop` is a mistyped preset rather than a formula. */
function withPresetSuggestion(text: string, problems: readonly FormulaProblem[]): readonly FormulaProblem[] {
  const trimmed = text.trim();
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(trimmed)) return problems;
  const suggestion = nearestName(trimmed, REWARD_PRESETS.keys());
  if (suggestion === undefined || problems.some((p) => p.range.end - p.range.start === trimmed.length && p.suggestion !== undefined))
    return problems;
  const start = text.indexOf(trimmed);
  const range = { start, end: start + trimmed.length };
  return [{ message: `unknown reward '${trimmed}' (did you mean the preset ${suggestion}?)`, range, suggestion }];
}
