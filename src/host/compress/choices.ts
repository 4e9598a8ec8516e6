/** What a person chose in "Compress Model…", and the config it becomes. */
import type { ConfigInput, DataName, MethodName } from '../../protocol/config';

export type DataChoice =
  | { readonly kind: 'named'; readonly name: DataName }
  /** Paths relative to the config. */
  | { readonly kind: 'files'; readonly train?: string; readonly test?: string }
  | { readonly kind: 'inputs'; readonly inputs: string };

export interface GoalChoice {
  /** Shares of the original's. */
  readonly flops?: number;
  readonly bytes?: number;
  /** 0.01 is one percentage point. */
  readonly maxAccuracyDrop?: number;
}

export type EffortName = 'quick' | 'standard' | 'thorough';

export interface CompressChoices {
  /** Relative to the config. */
  readonly model: string;
  readonly definition?: ConfigInput['definition'];
  readonly data: DataChoice;
  readonly goal: GoalChoice;
  readonly method: MethodName;
  readonly effort: EffortName;
}

/** Episodes of each stage. */
export const EFFORT_EPISODES: Readonly<Record<EffortName, number>> = { quick: 10, standard: 100, thorough: 300 };

/** The config's text, with only what differs from the defaults, and comments where a person will want to change something. */
export function configText(choices: CompressChoices): string {
  const { data, goal } = choices;
  const config: ConfigInput = {
    model: choices.model,
    ...(choices.definition ? { definition: choices.definition } : {}),
    data:
      data.kind === 'named'
        ? { name: data.name }
        : data.kind === 'inputs'
          ? { files: { inputs: data.inputs } }
          : {
              files: {
                ...(data.train === undefined ? {} : { train: data.train }),
                ...(data.test === undefined ? {} : { test: data.test }),
              },
            },
    goal,
    method: choices.method,
    search: { episodes: EFFORT_EPISODES[choices.effort] },
  };
  return `// What each field means: hover over it. Everything that is absent has a default.\n${JSON.stringify(config, null, 2)}\n`;
}

/** Data sets whose images fit an input, best guess first. `shape` is the model's input, with or without numbers for its axes. */
export function fittingData(shape: ReadonlyArray<number | string | null> | null): DataName[] {
  const sizes = (shape ?? []).filter((axis): axis is number => typeof axis === 'number');
  const has = (...wanted: number[]): boolean =>
    wanted.every((size) => sizes.filter((s) => s === size).length >= wanted.filter((w) => w === size).length);
  if (has(32, 32, 3)) return ['cifar10'];
  if (has(28, 28) || sizes.includes(784)) return ['digits', 'mnist', 'fashion-mnist'];
  return [];
}

/** Reads a number of percent, 0 to `most`, into a share; undefined where the text is none. */
export function shareOfPercent(text: string, most = 100): number | undefined {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*%?\s*$/.exec(text);
  const value = match ? Number(match[1].replace(',', '.')) : Number.NaN;
  // Rounded to what was written: 0.3 % is 0.003 and not 0.0029999….
  return value >= 0 && value <= most ? Number((value / 100).toFixed(6)) : undefined;
}
