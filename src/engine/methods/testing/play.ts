/** Plays stage 1 with a method on a problem that takes no time, in a run folder of its own; kills and resumes it where a test asks for it. */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type Config, type ConfigInput, configSchema } from '../../../protocol/config';
import type { Candidate, Policy } from '../../../protocol/policy';
import type { Measures } from '../../../protocol/reward/rescore';
import { loadTensorBackend } from '../../agents/tensor-backend';
import { Recorder } from '../../search/recorder';
import type { RunContext } from '../../search/run-context';
import { RunFolder } from '../../search/run-folder';
import type { StageResult } from '../../search/search-stage';
import { findMethod } from '../registry';
import { withMethodSettings } from '../settings';

const backend = await loadTensorBackend('js');

export interface PlayableProblem {
  /** What a config for it says beside the method; tests may say otherwise. */
  readonly input: Partial<ConfigInput>;
  /** Measures before compression. */
  readonly original: Measures;
  /** Runs the stage; `count` is told what is measured, each time before it is. */
  run(context: RunContext, count: (what: unknown) => void): Promise<StageResult>;
}

export interface Play<Result extends StageResult = StageResult> {
  readonly config: Config;
  readonly result: Result;
  readonly candidates: readonly Candidate[];
  /** The whole policy of each episode, in order, those that had been measured before included. */
  readonly played: readonly Policy[];
  /** What was measured, in order (a resumed run does not measure again what its journal has). */
  readonly measured: readonly unknown[];
}

export interface PlayOptions {
  readonly input?: Partial<ConfigInput>;
  /** Options of the method, where `input` names none; those that it does not have are left out. */
  readonly options?: Readonly<Record<string, number | boolean | string>>;
  /** Stops with an error at this measurement, counted from 1; then goes on in a new process's place. */
  readonly killAt?: number;
}

/** A whole stage with a method, in a run folder that is removed afterwards. */
export async function playStage(
  name: Config['method']['name'],
  problem: PlayableProblem,
  { input = {}, options = {}, killAt }: PlayOptions = {},
): Promise<Play> {
  const known = findMethod(name).options;
  const own = Object.fromEntries(Object.entries(options).filter(([option]) => known.includes(option)));
  const config = withMethodSettings(
    configSchema.parse({ model: 'chain.onnx', method: { name, options: own }, ...problem.input, ...input }),
  );
  const folder = RunFolder.create(tmpdir(), `espalier-${name}-${process.pid}`, new Date(0));
  const measured: unknown[] = [];
  const played: Policy[] = [];
  try {
    for (let attempt = 0; ; attempt++) {
      const recorder = new Recorder(folder.journal, (e) => {
        if (e.type === 'episode') played.push(e.policy);
      });
      try {
        const context: RunContext = {
          config,
          folder,
          recorder,
          backend,
          original: problem.original,
          // Of what was prepared, a stage only reads how many images score a candidate.
          prepared: { data: { search: { count: 100 } } } as unknown as RunContext['prepared'],
          expired: () => false,
        };
        const result = await problem.run(context, (what) => {
          if (attempt === 0 && measured.length + 1 === killAt) throw new Killed();
          measured.push(what);
        });
        return { config, result, candidates: [...recorder.candidates.values()], measured, played };
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      } finally {
        recorder.close();
      }
    }
  } finally {
    rmSync(folder.path, { recursive: true, force: true });
  }
}

class Killed extends Error {}
