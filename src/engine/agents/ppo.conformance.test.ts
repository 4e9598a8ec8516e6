// Apart from ppo.test.ts because learning takes its time (see ESPALIER_SLOW in testing/conformance.ts).
import { PpoAgent } from './ppo';
import { PPO_IMPROVED } from './ppo-options';
import { loadTensorBackend } from './tensor-backend';
import { describeAgent } from './testing/conformance';

const backend = await loadTensorBackend('js');

describeAgent('PPO, improved', (environment, random) => new PpoAgent(backend, environment.observationSize, random, PPO_IMPROVED));
