/** In a trusted workspace: everything. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { RunStatus, RunSummary } from '../../../src/protocol/run-summary';
import { eventually, pause, runTests } from './runner';
import { api, diagnostics, extension, inWorkspace, lenses, open } from './workspace';

/** A run of a config that has come to be in one of `states`. */
async function runOf(config: string, ...states: RunStatus[]): Promise<RunSummary> {
  const { runs } = await api();
  return eventually(
    `run of ${config} ${states.join(' or ')}`,
    () => runs.runs.find((run) => run.configPath === inWorkspace(config).fsPath && states.includes(run.status)),
    140,
  );
}

/** How often the bundle is loaded to see what that takes. */
const LOADS = 20;

/** As little as a run can be. */
const SMALL = {
  data: { name: 'digits', digits: { train: 300, test: 200 } },
  search: { episodes: 2, actors: 1, images: 100 },
  pruning: { calibrationImages: 60, final: { calibrationImages: 60 } },
  recovery: { epochs: 0 },
  quantization: { epochs: 0 },
};

export const run = (): Promise<void> =>
  runTests({
    'activation takes under 50 ms of the host, and starts no worker': async () => {
      const { worker, activation } = await api();
      assert.equal(worker.pid, undefined);
      const inDist = (name: string): string => join(extension().extensionPath, 'dist', name);
      // Nothing is loaded before it is needed: configs, with their schema, come later.
      assert.equal(require.cache[inDist('config-language.js')], undefined);
      // The bundle is read again, beside the one in use: what loading it took cannot be asked for later. The best of some
      // tries is what loading costs; the others tell how busy the machine was.
      const bundle = inDist('extension.js');
      const used = require.cache[bundle];
      assert.ok(used, 'the bundle in use');
      let load = Number.POSITIVE_INFINITY;
      for (let i = 0; i < LOADS; i++) {
        delete require.cache[bundle];
        const start = performance.now();
        const processor = process.cpuUsage();
        require(bundle);
        const { user, system } = process.cpuUsage(processor);
        load = Math.min(load, performance.now() - start, (user + system) / 1000);
      }
      require.cache[bundle] = used;
      // Activation happens once: where others had the processor meanwhile, what it took of it counts.
      const activate = Math.min(activation.elapsed, activation.processor);
      const took = `${load.toFixed(1)} ms to load; to activate ${activation.elapsed.toFixed(1)} ms, ${activation.processor.toFixed(1)} ms of the processor`;
      assert.ok(load + activate < 50, took);
      return took;
    },

    'every declared command is registered': async () => {
      const registered = new Set(await vscode.commands.getCommands(true));
      const { contributes } = extension().packageJSON as { contributes: { commands: { command: string }[] } };
      assert.deepEqual(
        contributes.commands.map(({ command }) => command).filter((command) => !registered.has(command)),
        [],
      );
    },

    'lenses on Python, TypeScript and model.json, and a setting that switches them off': async () => {
      assert.deepEqual(await lenses(await open('train.py')), ['5 Compress this model', '5 Layer sensitivity']);
      assert.deepEqual(await lenses(await open('build.ts')), ['3 Compress this model', '3 Layer sensitivity']);
      assert.deepEqual(await lenses(await open('tfjs', 'model.json')), ['0 Compress this model', '0 Layer sensitivity']);
      const settings = vscode.workspace.getConfiguration('espalier');
      await settings.update('codeLens.enabled', false, vscode.ConfigurationTarget.Workspace);
      assert.deepEqual(await lenses(await open('train.py')), []);
      await settings.update('codeLens.enabled', undefined, vscode.ConfigurationTarget.Workspace);
    },

    'config: problems at their exact places, with a quick fix': async () => {
      const document = await open('broken.espalier.json');
      const found = await diagnostics(document, 2);
      assert.deepEqual(
        found.map(({ range }) => document.getText(range)),
        ['serch', 'flop'],
      );
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        'vscode.executeCodeActionProvider',
        document.uri,
        found[0].range,
      );
      const fix = actions.find(({ title }) => title === "Change to 'search'");
      assert.ok(fix?.edit);
      await vscode.workspace.applyEdit(fix.edit);
      assert.equal((await diagnostics(document, 1))[0].message.includes("'flop'"), true);
      await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    },

    'config: completion and hover inside a formula': async () => {
      const document = await open('net.espalier.json');
      const at = document.positionAt(document.getText().indexOf('flops /') + 2);
      const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
        'vscode.executeCompletionItemProvider',
        document.uri,
        at,
      );
      const labels = items.map(({ label }) => (typeof label === 'string' ? label : label.label));
      for (const name of ['accuracy', 'flops0', 'clamp']) assert.ok(labels.includes(name), `${name} among ${labels.length} completions`);
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', document.uri, at);
      const text = hovers.flatMap(({ contents }) => contents.map((content) => (content as vscode.MarkdownString).value)).join('\n');
      assert.match(text, /flops/);
      assert.match(text, /data:image\/svg\+xml/);
      assert.deepEqual(await lenses(document), ['0 $(play) Run', '4 $(play) Run with this reward', '4 Re-score last run', '4 Preview']);
    },

    'config: fields are completed from the schema': async () => {
      const document = await open('net.espalier.json');
      const at = document.positionAt(document.getText().indexOf('"model"'));
      const found = await eventually('completions from the JSON schema', async () => {
        const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
          'vscode.executeCompletionItemProvider',
          document.uri,
          at,
        );
        const labels = items.map(({ label }) => (typeof label === 'string' ? label : label.label));
        return labels.includes('quantization') ? labels : undefined;
      });
      assert.ok(found.includes('layers'));
    },

    'the editor of .onnx files shows the graph': async () => {
      const { panels, worker } = await api();
      await vscode.commands.executeCommand('vscode.open', inWorkspace('small.onnx'));
      const input = await eventually('custom editor', () => {
        const tab = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
        return tab instanceof vscode.TabInputCustom ? tab : undefined;
      });
      assert.equal(input.viewType, 'espalier.modelEditor');
      const graph = await eventually('graph', () => panels.active?.layerGraph ?? undefined);
      assert.deepEqual(
        graph.nodes.filter(({ weights }) => weights.length > 0).map(({ name }) => name),
        ['conv1', 'conv2', 'fc'],
      );
      assert.ok(graph.layout);
      assert.ok(worker.pid);
      await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    },

    'a definition is exported by the chosen interpreter, analyzed, and hinted on the right lines': async () => {
      const settings = vscode.workspace.getConfiguration('espalier');
      await settings.update('python.interpreter', process.env['ESPALIER_FAKE_PYTHON'], vscode.ConfigurationTarget.Workspace);
      const document = await open('train.py');
      await vscode.commands.executeCommand('espalier.analyzeSensitivity', { file: document.uri.fsPath, kind: 'torch-module', name: 'Net' });
      assert.ok(existsSync(inWorkspace('net.onnx').fsPath), 'exported');
      const hints = await eventually('hints', async () => {
        const all = new vscode.Range(0, 0, document.lineCount, 0);
        const found = await vscode.commands.executeCommand<vscode.InlayHint[]>('vscode.executeInlayHintProvider', document.uri, all);
        return found.length >= 3 ? found : undefined;
      });
      const lines = hints.map(({ position }) => document.lineAt(position.line).text.trim().split(' ')[0]).sort();
      assert.deepEqual(lines, ['self.conv1', 'self.conv2', 'self.fc']);
      const conv1 = hints.find(({ position }) => document.lineAt(position.line).text.includes('conv1'));
      assert.match(String(conv1?.label), /^prune \d+ % → [−+±]\d+\.\d pt · (\d bit ok|bits matter)$/);
      const [hover] = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', document.uri, conv1!.position);
      assert.match((hover.contents[0] as vscode.MarkdownString).value, /\| pruned \|.*svg/s);
      const link = /\(command:(espalier\.\w+)\?([^)]+)\)/.exec((hover.contents[0] as vscode.MarkdownString).value);
      assert.ok(link, 'the hover leads to the report');
      const report = await vscode.commands.executeCommand<string>(link[1], ...JSON.parse(decodeURIComponent(link[2])));
      assert.match(readFileSync(report, 'utf8'), /^# Sensitivity of net\n[\s\S]*sensitivity\.svg\)[\s\S]*\| conv1 \|/);
      await eventually('report in the preview', () =>
        vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs).find(({ label }) => label.includes('sensitivity.md')),
      );
      return hints.map(({ label }) => String(label)).join('; ');
    },

    'a definition in TypeScript is imported by the worker, and shown': async () => {
      // A TensorFlow.js of the workspace's own, as its module asks for one.
      const folder = inWorkspace('node_modules', '@tensorflow', 'tfjs').fsPath;
      const ours = JSON.stringify(join(extension().extensionPath, 'package.json'));
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: '@tensorflow/tfjs', type: 'module', exports: './index.js' }));
      writeFileSync(
        join(folder, 'index.js'),
        `import { createRequire } from 'node:module';
         const require = createRequire(${ours});
         require('@tensorflow/tfjs-backend-cpu');
         export const { sequential, layers } = require('@tensorflow/tfjs-layers');`,
      );
      // built.espalier.json answers what would be asked.
      const target = { file: inWorkspace('build.ts').fsPath, kind: 'tfjs-sequential', name: 'build' };
      await vscode.commands.executeCommand('espalier.openModelGraph', target);
      assert.ok(existsSync(inWorkspace('built.onnx').fsPath));
      const { panels } = await api();
      const graph = await eventually('graph', () =>
        panels.active?.modelPath === inWorkspace('built.onnx').fsPath ? (panels.active.layerGraph ?? undefined) : undefined,
      );
      assert.deepEqual(
        graph.nodes.filter(({ weights }) => weights.length > 0).map(({ opType }) => opType),
        ['Conv', 'Gemm'],
      );
      await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    },

    'the palette leads from a model to a run': async () => {
      const { runs } = await api();
      const asked = vscode.commands.executeCommand('espalier.compressModel', inWorkspace('small.onnx'));
      // Every question has a good answer on top; how many keys reach which list depends on how busy the machine is.
      let answered = false;
      void asked.then(() => {
        answered = true;
      });
      for (let keys = 0; !answered && keys < 60; keys++) {
        await pause(1000);
        await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
      }
      assert.ok(answered, 'every question is answered');
      const config = readFileSync(inWorkspace('small.espalier.json').fsPath, 'utf8');
      assert.match(config, /"name": "digits"/);
      assert.match(config, /"episodes": 100/);
      const started = await runOf('small.espalier.json', 'running', 'finished');
      assert.ok(started.folder.startsWith(inWorkspace('.espalier', 'runs').fsPath));
      // Twelve thousand images are for people; the next test finishes a run of three hundred.
      if (runs.run(started.folder)?.status === 'running')
        await vscode.commands.executeCommand('espalier.stopRun', { folder: started.folder });
      await runOf('small.espalier.json', 'interrupted', 'finished');
    },

    'a config runs to its end, with its files on disk': async () => {
      const { panels } = await api();
      await vscode.commands.executeCommand('espalier.runConfig', inWorkspace('net.espalier.json'));
      const finished = await runOf('net.espalier.json', 'finished', 'failed');
      assert.equal(finished.status, 'finished', finished.reason);
      for (const name of ['config.json', 'journal.jsonl', 'report.md', 'best']) assert.ok(existsSync(join(finished.folder, name)), name);
      assert.equal(panels.active?.runFolder, finished.folder);
      const titles = await eventually('lens with the figures', async () => {
        const found = await lenses(await open('train.py'));
        return found.some((title) => title.endsWith('open run')) ? found : undefined;
      });
      return titles.at(-1);
    },

    'config: the hover of a name has its value in the last run': async () => {
      const document = await open('net.espalier.json');
      const { best, original } = await runOf('net.espalier.json', 'finished');
      const at = document.positionAt(document.getText().indexOf('flops /') + 2);
      const number = (value: number): string => value.toLocaleString(undefined, { maximumFractionDigits: 3 });
      const text = await eventually('value in the hover', async () => {
        const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', document.uri, at);
        const found = hovers.flatMap(({ contents }) => contents.map((content) => (content as vscode.MarkdownString).value)).join('\n');
        return found.includes('Last run') ? found : undefined;
      });
      assert.ok(
        text.includes(`Last run: **${number(best!.cost.macs)}**, before compression ${number(original!.cost.macs)}`),
        text.slice(0, 300),
      );
      await vscode.commands.executeCommand('espalier.previewReward', document.uri, 'prune');
      const preview = (await api()).reportText('reward.md') ?? '';
      assert.match(preview, /points are candidates of the last run\.\]\(data:image\/svg\+xml/);
    },

    're-score ranks the run anew under the edited reward': async () => {
      const document = await open('net.espalier.json');
      const before = document.getText();
      const rescore = async (reward: string): Promise<{ ranked: string[]; winner?: string }> => {
        const edit = new vscode.WorkspaceEdit();
        const at = document.getText().search(/"reward": "[^"]*"/);
        const length = /"reward": "[^"]*"/.exec(document.getText())![0].length;
        edit.replace(document.uri, new vscode.Range(document.positionAt(at), document.positionAt(at + length)), `"reward": "${reward}"`);
        await vscode.workspace.applyEdit(edit);
        return (await vscode.commands.executeCommand('espalier.rescoreLastRun', document.uri, 'prune'))!;
      };
      const cheap = await rescore('0 - flops');
      const costly = await rescore('flops');
      assert.ok(cheap.ranked.length > 1);
      assert.equal(cheap.ranked[0], costly.ranked.at(-1));
      assert.match((await api()).reportText('re-scored.md') ?? '', /Reward: `flops`/);
      await vscode.commands.executeCommand('workbench.action.files.revert');
      const edit = new vscode.WorkspaceEdit();
      edit.replace(document.uri, new vscode.Range(0, 0, document.lineCount, 0), before);
      await vscode.workspace.applyEdit(edit);
      await document.save();
    },

    'runs are compared side by side, with their fronts on one chart': async () => {
      const { runs, reportText } = await api();
      // The second was stopped, perhaps before it scored anything.
      const both = ['net.espalier.json', 'small.espalier.json'].flatMap(
        (config) => runs.runs.find((run) => run.configPath === inWorkspace(config).fsPath) ?? [],
      );
      assert.equal(both.length, 2);
      await vscode.commands.executeCommand('espalier.compareRuns', both[0], both.slice(1));
      const text = reportText('runs compared.md') ?? '';
      for (const row of ['Method', 'Seed', 'Accuracy', 'MACs', 'Parameters', 'Weight bytes', 'Latency'])
        assert.match(text, new RegExp(`^\\| ${row} \\| .+ \\| .+ \\|$`, 'm'));
      assert.match(text, /!\[Pareto fronts of \d runs?.*\]\(data:image\/svg\+xml;base64,/);
    },

    'export writes a candidate, with the code that loads it': async () => {
      const { folder } = await runOf('net.espalier.json', 'finished');
      const to = inWorkspace('exported.onnx').fsPath;
      const { runs, reportText } = await api();
      const { best } = runs.run(folder)!;
      await vscode.commands.executeCommand('espalier.exportModel', { folder }, best!.id, to);
      assert.ok(existsSync(to));
      assert.match(reportText('load exported.onnx.md') ?? '', /np\.zeros\(\[1, 1, 28, 28\]/);
    },

    'pause, and resume': async () => {
      const { runs } = await api();
      await vscode.commands.executeCommand('espalier.runConfig', inWorkspace('long.espalier.json'));
      const started = await eventually(
        'first episode',
        () => runs.runs.find((r) => r.configPath === inWorkspace('long.espalier.json').fsPath && r.status === 'running' && r.episode > 0),
        90,
      );
      await vscode.commands.executeCommand('espalier.pauseRun', { folder: started.folder });
      const paused = runs.run(started.folder)!;
      assert.deepEqual([paused.status, paused.paused, paused.stopped, paused.resumable], ['interrupted', true, undefined, true]);
      await vscode.commands.executeCommand('espalier.resumeRun', { folder: started.folder });
      await eventually(
        'further episodes',
        () => {
          const resumed = runs.run(started.folder)!;
          return resumed.status === 'running' && resumed.episode > paused.episode ? true : undefined;
        },
        90,
      );
    },

    'a killed worker leaves an interrupted run, and the editor well': async () => {
      const { runs, worker } = await api();
      const running = runs.active[0];
      const { pid } = worker;
      process.kill(pid!, 'SIGKILL');
      const dead = await eventually('interrupted', () =>
        runs.run(running.folder)?.status === 'interrupted' ? runs.run(running.folder) : undefined,
      );
      // Windows knows no signals: there a killed process has exit code 1.
      assert.match(dead.reason ?? '', process.platform === 'win32' ? /exit code 1/ : /SIGKILL/);
      assert.equal(dead.resumable, true);
      await vscode.commands.executeCommand('espalier.resumeRun', { folder: running.folder });
      await eventually(
        'resumed',
        () => {
          const resumed = runs.run(running.folder)!;
          return resumed.status === 'running' && resumed.episode > dead.episode ? true : undefined;
        },
        90,
      );
      assert.notEqual(worker.pid, pid);
    },

    'stop ends a run for good, and its best so far can be exported': async () => {
      const { runs } = await api();
      const [running] = runs.active;
      const ends: RunSummary[] = [];
      const listening = runs.onDidEnd(({ run }) => ends.push(run));
      await vscode.commands.executeCommand('espalier.stopRun', { folder: running.folder });
      listening.dispose();
      const stopped = runs.run(running.folder)!;
      assert.deepEqual([stopped.status, stopped.paused, stopped.stopped], ['interrupted', undefined, true]);
      assert.deepEqual(
        ends.map(({ folder, stopped: told }) => [folder, told]),
        [[running.folder, true]],
      );
      const to = inWorkspace('best-so-far.onnx').fsPath;
      await vscode.commands.executeCommand('espalier.exportModel', { folder: running.folder }, stopped.best!.id, to);
      assert.ok(existsSync(to));
      // Also after a restart nobody takes it for broken off: its journal says so.
      await runs.refresh();
      assert.equal(runs.run(running.folder)?.stopped, true);
    },

    'tasks: those of the provider and of tasks.json run the command line to its end': async () => {
      const config = { model: 'small.onnx', ...SMALL };
      for (const name of ['task', 'named']) writeFileSync(inWorkspace(`${name}.espalier.json`).fsPath, JSON.stringify(config));
      mkdirSync(inWorkspace('.vscode').fsPath, { recursive: true });
      const named = { type: 'espalier', config: 'named.espalier.json', label: 'compress by name' };
      writeFileSync(inWorkspace('.vscode', 'tasks.json').fsPath, JSON.stringify({ version: '2.0.0', tasks: [named] }));
      const task = (suits: (task: vscode.Task) => boolean): Promise<vscode.Task> =>
        eventually('task', async () => (await vscode.tasks.fetchTasks({ type: 'espalier' })).find(suits));
      const found = [
        await task(({ name, definition }) => name === 'compress task.espalier.json' && definition['config'] === 'task.espalier.json'),
        await task(({ name }) => name === named.label),
      ];
      const folders = inWorkspace('.espalier', 'runs').fsPath;
      const { runs } = await api();
      for (const each of found) {
        const before = new Set(existsSync(folders) ? readdirSync(folders) : []);
        const ended = new Promise<number | undefined>((resolve) => {
          const listening = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
            if (execution.task.name !== each.name) return;
            listening.dispose();
            resolve(exitCode);
          });
        });
        await vscode.tasks.executeTask(each);
        assert.equal(await ended, 0, each.name);
        const [made] = readdirSync(folders).filter((name) => !before.has(name) && !name.startsWith('.'));
        for (const file of ['report.md', 'journal.jsonl', 'best'])
          assert.ok(existsSync(join(folders, made, file)), `${each.name}: ${file}`);
        // The editor's own list has it too.
        await runs.refresh();
        assert.equal(runs.run(join(folders, made))?.status, 'finished');
      }
    },

    'a missing interpreter is named': async () => {
      const settings = vscode.workspace.getConfiguration('espalier');
      await settings.update('python.interpreter', '/no/such/python', vscode.ConfigurationTarget.Workspace);
      const source = inWorkspace('train.py').fsPath;
      writeFileSync(source, readFileSync(source));
      const later = new Date(Date.now() + 60_000);
      utimesSync(source, later, later);
      const model = readFileSync(inWorkspace('net.onnx').fsPath);
      await vscode.commands.executeCommand('espalier.openModelGraph', { file: source, kind: 'torch-module', name: 'Net' });
      assert.deepEqual(readFileSync(inWorkspace('net.onnx').fsPath), model);
      await settings.update('python.interpreter', undefined, vscode.ConfigurationTarget.Workspace);
    },

    'diagnostics name versions, and no file of the workspace': async () => {
      const text = await vscode.commands.executeCommand<string>('espalier.copyDiagnostics');
      assert.match(text, /onnxruntime/);
      assert.match(text, /^Run of .*: finished/m);
      for (const name of ['net', 'small', inWorkspace().fsPath]) assert.equal(new RegExp(`\\b${name}\\b`).test(text), false, name);
      assert.equal(await vscode.env.clipboard.readText(), text);
    },
  });
