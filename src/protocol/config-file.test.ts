import { describe, expect, it } from 'vitest';
import { type Config, configSchema } from './config';
import { type ConfigProblem, fieldText, formulasIn, parseConfigText, problemText } from './config-file';
import { positionAt, stringOffsets } from './json-positions';

function only(text: string): ConfigProblem {
  const { config, problems } = parseConfigText(text);
  expect(problems.map((p) => p.message)).toHaveLength(1);
  expect(config).toBeUndefined();
  return problems[0];
}

const at = (text: string, { offset, length }: ConfigProblem): string => text.slice(offset, offset + length);

function read(text: string): Config {
  const { config, problems } = parseConfigText(text);
  expect(problems).toEqual([]);
  return config!;
}

describe('defaults', () => {
  it('a model is enough', () => {
    const config = read('{ "model": "net.onnx" }');
    expect(config.method).toEqual({ name: 'two-stage-ppo', options: {} });
    expect(config.stages).toEqual({ prune: true, quantize: true });
    expect(config.reward).toEqual({ prune: 'synthetic', quantize: 'accuracy', constants: {}, lambda: 1, targetSparsity: 0.8 });
    expect(config.pruning).toMatchObject({
      calibrationImages: 1000,
      positions: 10,
      widthMultiple: 'auto',
      variational: { enabled: false, alphaMax: 0.7 },
    });
    expect(config.quantization).toMatchObject({ minBits: 2, maxBits: 8, first: { minBits: 8, maxBits: 8 } });
    expect(config.agent).toMatchObject({
      gamma: 0.99,
      actorLearningRate: 1e-4,
      criticLearningRate: 1e-3,
      noise: { start: 0.5, decay: 0.95 },
      targetNoiseSigma: 0.2,
      targetNoiseClip: 0.5,
      tau: 0.005,
      minibatch: 64,
      replayCapacity: 2000,
      clipCoefficient: 0.2,
      normalizeQ: true,
    });
    expect(config.search).toEqual({ episodes: 100, actors: 2 });
    expect(config.goal).toEqual({});
  });

  it('a resolved config reads as itself', () => {
    const config = read('{ "model": "net.onnx", "reward": "n2n", "method": "uniform", "search": { "timeLimit": "10m" }, "train": {} }');
    expect(configSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it('takes comments, trailing commas and a byte-order mark', () => {
    expect(read('\uFEFF{ // a comment\n "model": "net.onnx", /* another */ "seed": 7, }').seed).toBe(7);
  });

  it('takes short forms', () => {
    const config = read(
      '{ "model": "m", "reward": "accuracy - flops / flops0", "method": "random-search", "search": { "timeLimit": "1h30m" } }',
    );
    expect(config.reward).toMatchObject({ prune: 'accuracy - flops / flops0', quantize: 'accuracy - flops / flops0' });
    expect(config.method).toEqual({ name: 'random-search', options: {} });
    expect(config.search.timeLimit).toBe(5400);
  });
});

describe('wrong fields', () => {
  it.each([
    ['{ "modle": "m", "model": "m" }', 'modle', "unknown field 'modle' (did you mean model?)"],
    ['{ "model": "m", "search": { "episode": 3 } }', 'episode', "unknown field 'search.episode' (did you mean episodes?)"],
    ['{ "model": "m", "layers": { "a.b": { "ration": 0.5 } } }', 'ration', 'unknown field \'layers["a.b"].ration\' (did you mean ratio?)'],
    ['{ "model": "m", "reward": { "constant": {} } }', 'constant', "unknown field 'reward.constant' (did you mean constants?)"],
    [
      '{ "model": "m", "search": { "xyzzy": 3 } }',
      'xyzzy',
      "unknown field 'search.xyzzy'; known here: episodes, actors, timeLimit, scorings, images",
    ],
    ['{ "seed": 1 }', '{', "'model' is missing"],
    [
      '{ "model": "m", "data": { "augmentation": { "elastic": { "alpha": 1 } } } }',
      'elastic',
      "'data.augmentation.elastic.sigma' is missing",
    ],
    ['{ "model": 3 }', '3', "'model' must be a text, not 3"],
    ['{ "model": "" }', '""', "'model' must not be empty"],
    ['{ "model": "m", "search": { "episodes": "many" } }', '"many"', '\'search.episodes\' must be a number, not the text "many"'],
    ['{ "model": "m", "search": { "episodes": 1.5 } }', '1.5', "'search.episodes' must be a whole number, not 1.5"],
    ['{ "model": "m", "search": { "episodes": 0 } }', '0', "'search.episodes' must be at least 1, not 0"],
    ['{ "model": "m", "goal": { "flops": 0 } }', '0', "'goal.flops' must be above 0, not 0"],
    ['{ "model": "m", "goal": { "maxAccuracyDrop": 2 } }', '2', "'goal.maxAccuracyDrop' must be at most 1, not 2"],
    ['{ "model": "m", "layers": { "a": { "ratio": 1 } } }', '1', "'layers.a.ratio' must be below 1, not 1"],
    ['{ "model": "m", "stages": [] }', '[', "'stages' must be an object { … }, not a list"],
    ['{ "model": "m", "stages": { "prune": false, "quantize": false } }', '{', "'stages': both stages are off, so there is nothing to do"],
    [
      '{ "model": "m", "data": { "name": "cifar" } }',
      '"cifar"',
      '\'data.name\' must be "digits", "mnist", "fashion-mnist" or "cifar10", not the text "cifar" (did you mean cifar10?)',
    ],
    [
      '{ "model": "m", "data": { "name": "mnist", "files": { "train": "a.npz" } } }',
      '{',
      "'data.files': name a data set or give files, not both",
    ],
    [
      '{ "model": "m", "search": { "timeLimit": "soon" } }',
      '"soon"',
      "'search.timeLimit': must be seconds or a text such as '90s', '10m' or '1h30m'",
    ],
    ['{ "model": "m", "search": { "timeLimit": "0s" } }', '"0s"', "'search.timeLimit': must be longer than 0 seconds"],
    ['{ "model": "m", "search": { "timeLimit": true } }', 'true', "'search.timeLimit' must be a number or a text, not true"],
    [
      '{ "model": "m", "pruning": { "widthMultiple": "8" } }',
      '"8"',
      '\'pruning.widthMultiple\' must be "auto" or a whole number, not the text "8"',
    ],
    [
      '{ "model": "m", "layers": { "a": { "minRatio": 0.6, "maxRatio": 0.5 } } }',
      '0.6',
      "'layers.a.minRatio': minRatio 0.6 is above maxRatio 0.5",
    ],
    ['{ "model": "m", "quantization": { "minBits": 5, "maxBits": 4 } }', '5', "'quantization.minBits': minBits 5 is above maxBits 4"],
    [
      '{ "model": "m", "reward": { "constants": { "flops": 1 } } }',
      '1',
      "'reward.constants.flops': constant 'flops' has the name of a measure; choose another name",
    ],
    ['{ "model": "m", "seed": 1, "seed": 2 }', 'seed', "'seed' stands here twice; remove one"],
    ['{ "model": "m", "__proto__": {} }', '__proto__', "a field cannot be named '__proto__'"],
    ['[1]', '[1]', 'the config must be an object { … }, not a list'],
  ])('%s', (text, where, message) => {
    const problem = only(text);
    expect(problem.message).toBe(message);
    expect(at(text, problem)).toBe(where);
  });

  it('points at the second of two equal fields', () => {
    const text = '{ "model": "m", "seed": 1, "seed": 2 }';
    expect(only(text).offset).toBe(text.lastIndexOf('seed'));
  });

  it('gives lines and columns from 1, and the suggestion to put in place', () => {
    const text = '{\r\n  "model": "m",\r\n  "serch": {}\r\n}';
    const problem = only(text);
    expect(problem).toMatchObject({ line: 3, column: 4, suggestion: 'search', path: ['serch'], severity: 'error' });
    expect(problemText(problem, 'net.espalier.json')).toBe("net.espalier.json:3:4: unknown field 'serch' (did you mean search?)");
  });

  it('reports every problem, in the order of the text', () => {
    const { problems } = parseConfigText('{ "model": 1, "seed": -1, "reward": "acuracy", "search": { "actors": 0 } }');
    expect(problems.map((p) => fieldText(p.path))).toEqual(['model', 'seed', 'reward', 'search.actors']);
  });

  it.each([
    ['', 'the file is empty; a config needs at least { "model": "…" }'],
    ['{ "model": "m" "seed": 1 }', "',' is expected here"],
    ['{ "model": }', 'a value is expected here'],
    ['{ "model": "m"', "'}' is missing"],
    ['{ "model": "m" } x', 'this is no JSON value; texts need double quotes'],
    ['['.repeat(100_000), 'the config is nested more than 50 deep'],
  ])('broken JSON is said as such: %.30s', (text, message) => {
    const { config, problems } = parseConfigText(text);
    expect(config).toBeUndefined();
    expect(problems[0].message).toBe(message);
    for (const p of problems) expect(p.offset + p.length).toBeLessThanOrEqual(text.length);
  });
});

describe('formulas inside the config', () => {
  it.each([
    ['{ "model": "m", "reward": "1 + acuracy" }', 'acuracy', "'reward': unknown name 'acuracy' (did you mean accuracy?)"],
    ['{ "model": "m", "reward": { "quantize": "max(1, 2" } }', '(', "'reward.quantize': '(' is never closed"],
    // Escapes take more characters in the file than in the formula.
    ['{ "model": "m", "reward": "1 +\\n\\t acuracy" }', 'acuracy', "'reward': unknown name 'acuracy' (did you mean accuracy?)"],
    [
      '{ "model": "m", "reward": "\\u0031 + acuracy\\u0031" }',
      'acuracy\\u0031',
      "'reward': unknown name 'acuracy1' (did you mean accuracy?)",
    ],
    ['{ "model": "m", "reward": "accuracy \\u003c 1 \\u0026 2" }', '\\u0026', "'reward': unexpected character '&'"],
    // Nothing follows: the closing quote is marked.
    ['{ "model": "m", "reward": "1 +" }', '"', "'reward': expected a number, a name or '(', found the end of the formula"],
    ['{ "model": "m", "reward": "crl" }', 'crl', "'reward': preset crl reads 'budget', so 'goal.flops' must be set"],
    [
      '{ "model": "m", "reward": "accuracy0 / dropBound" }',
      'dropBound',
      "'reward': it reads 'dropBound', so 'goal.maxAccuracyDrop' must be set",
    ],
  ])('%s', (text, where, message) => {
    const problem = only(text);
    expect(problem.message).toBe(message);
    expect(at(text, problem)).toBe(where);
  });

  it('knows constants and goals', () => {
    read(
      '{ "model": "m", "reward": { "prune": "accuracy - price * flops / budget", "constants": { "price": 0.3 } }, "goal": { "flops": 0.5 } }',
    );
  });

  it('are found in a config that is broken elsewhere, with a map of their characters', () => {
    const text = '{ "reward": { "prune": "a\\tb", }, "search": [';
    const [site] = formulasIn(text);
    expect(site.text).toBe('a\tb');
    expect(site.offsets.map((o) => text[o])).toEqual(['a', '\\', 'b', '"']);
  });
});

describe('positions', () => {
  it('maps escapes', () => expect(stringOffsets('xx"a\\nb\\u0041"', 2, 12)).toEqual([3, 4, 6, 7, 13]));
  it('counts every kind of line end once', () => {
    expect(positionAt('a\r\nb\nc\rd', 7)).toEqual({ line: 4, column: 1 });
    expect(positionAt('a\r\nb', 3)).toEqual({ line: 2, column: 1 });
  });
});

describe('any text at all', () => {
  it('never throws, and keeps every range inside the text', () => {
    const sane =
      '{ "model": "m", "reward": { "prune": "accuracy + \\u0031", "constants": { "a": 1 } }, "layers": { "x*": { "ratio": 0.5 } }, "search": { "timeLimit": "10m" } }';
    const pieces = [...'{}[]",:\\/*01- \n', 'null', 'true', '"model"', '"reward"', '"__proto__"', '\\u00', '1e999', '//', '\ud800'];
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 4294967296) * below);
    };
    let accepted = 0;
    for (let i = 0; i < 3000; i++) {
      let text = sane;
      // Some characters replaced, removed or inserted.
      for (let edits = random(4); edits > 0; edits--) {
        const from = random(text.length);
        text = text.slice(0, from) + pieces[random(pieces.length)] + text.slice(from + random(3));
      }
      const { config, problems } = parseConfigText(text);
      expect(config === undefined).toBe(problems.some((p) => p.severity === 'error'));
      if (config) accepted++;
      for (const p of problems) {
        expect(p.offset).toBeGreaterThanOrEqual(0);
        expect(p.offset + p.length).toBeLessThanOrEqual(text.length);
        expect(p.line).toBeGreaterThanOrEqual(1);
      }
      formulasIn(text);
    }
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(2900);
  });
});
