import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import manifest from '../../package.json';
import strings from '../../package.nls.json';
import { LANGUAGES } from './lenses/definition-scan';
import { SETTING_NAMES } from './setting-names';

const { contributes } = manifest;
const declared = contributes.commands.map(({ command }) => command).sort();

/** Command ids as the handlers' object names them; the compiler demands one for each of CommandArguments. */
const handled = [...readFileSync('src/host/handlers.ts', 'utf8').matchAll(/^ {4}'(espalier\.\w+)':/gm)].map(([, id]) => id).sort();

describe('manifest', () => {
  it('declares the commands that are registered, and no others', () => expect(declared).toEqual(handled));

  it('menus name declared commands', () => {
    const named = Object.values(contributes.menus).flatMap((items) => items.map(({ command }) => command));
    expect(named.filter((command) => !declared.includes(command))).toEqual([]);
  });

  it('links in welcome texts and walkthroughs lead to commands', () => {
    const links = Object.values(strings).flatMap((text) => [...text.matchAll(/\(command:([\w.]+)\)/g)].map(([, id]) => id));
    expect(links.length).toBeGreaterThan(4);
    const views = contributes.views.espalier.map(({ id }) => `${id}.focus`);
    expect(links.filter((id) => !declared.includes(id) && !views.includes(id) && id !== 'workbench.trust.manage')).toEqual([]);
  });

  it('declares the settings that are read', () => {
    const names = Object.keys(contributes.configuration.properties).map((name) => name.replace('espalier.', ''));
    expect(names.sort()).toEqual(Object.keys(SETTING_NAMES).sort());
  });

  it('has a text for each placeholder, and no text without one', () => {
    const used = new Set([...JSON.stringify(manifest).matchAll(/"%([\w.]+)%"/g)].map(([, key]) => key));
    expect([...used].sort()).toEqual(Object.keys(strings).sort());
  });

  it('activates for each scanned language', () => {
    expect(manifest.activationEvents).toEqual(expect.arrayContaining(Object.keys(LANGUAGES).map((language) => `onLanguage:${language}`)));
  });

  it('is limited in untrusted and virtual workspaces, with the reason in words', () => {
    for (const kind of ['untrustedWorkspaces', 'virtualWorkspaces'] as const) {
      const { supported, description } = manifest.capabilities[kind];
      expect(supported).toBe('limited');
      expect(strings[description.replaceAll('%', '') as keyof typeof strings]).toMatch(/\w+ \w+.*\./);
    }
  });

  it('names files that exist', () => {
    const files = [
      manifest.icon,
      contributes.jsonValidation[0].url,
      contributes.snippets[0].path,
      contributes.viewsContainers.activitybar[0].icon,
    ];
    files.push(...contributes.walkthroughs[0].steps.map(({ media }) => media.markdown));
    for (const file of files) expect(() => readFileSync(file), file).not.toThrow();
  });
});
