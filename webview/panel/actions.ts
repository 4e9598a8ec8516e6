/** What parts of the panel can ask for. App answers them. */
import type { CostAxis } from './charts/pareto-chart';
import type { RequestBody } from './requests';

export interface Actions {
  readonly selectNode: (id: string | undefined) => void;
  readonly toggleScope: (key: string) => void;
  readonly chooseCandidate: (id: string | undefined) => void;
  /** Moves the keyboard's place on the Pareto front. */
  readonly activateCandidate: (id: string) => void;
  readonly showAxis: (axis: CostAxis) => void;
  readonly showCurve: (curve: 'reward' | 'accuracy') => void;
  /** Asks the host; its answer is announced, an error shown. */
  readonly request: (body: RequestBody, done: string) => void;
  readonly openSource: (file: string, line: number) => void;
  readonly openConfig: () => void;
  readonly showLog: () => void;
}
