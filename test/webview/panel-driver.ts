/** The panel in a plain page with a fake host: the built bundle under the real content security policy and a real theme's colours. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { HostToPanel, PanelToHost } from '../../src/protocol/panel-messages';
import { panelPage } from '../../src/protocol/panel-page';
import themes from './fixtures/themes.json';

export type ThemeName = keyof typeof themes;
export const THEME_NAMES = Object.keys(themes) as ThemeName[];

const ORIGIN = 'https://panel.test';
const require = createRequire(new URL('../browser/package.json', import.meta.url));
const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

export interface PanelOptions {
  readonly theme?: ThemeName;
  readonly width?: number;
  readonly height?: number;
  /** What the host answers to `ready`. */
  readonly show?: Extract<HostToPanel, { type: 'show' }>;
  /** Error that the host answers requests of this type with. */
  readonly errors?: Readonly<Record<string, { message: string; hint?: string }>>;
  /** Type of the requests that are not answered until the test does. */
  readonly unanswered?: string;
  /** By English text, as the host puts them into the page. */
  readonly translations?: Readonly<Record<string, string>>;
  /** True: the page offers the editor's API instead of the plain page's events. */
  readonly editorApi?: boolean;
}

export interface Violation {
  readonly id: string;
  readonly help: string;
  readonly targets: readonly string[];
}

interface PanelWindow extends Window {
  sent: PanelToHost[];
  violations: string[];
  axe: {
    run: (
      options: unknown,
    ) => Promise<{ violations: Array<{ id: string; help: string; nodes: Array<{ target: unknown[]; failureSummary?: string }> }> }>;
  };
}

export class Panel {
  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
  ) {}

  static async open(browser: Browser, options: PanelOptions = {}): Promise<Panel> {
    const { theme = 'dark', width = 1400, height = 900, show, errors = {}, unanswered, translations, editorApi = false } = options;
    const context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce', deviceScaleFactor: 1 });
    const page = await context.newPage();
    // Well below a test's own limit, so that a failure says which step it was.
    page.setDefaultTimeout(8000);
    const files: Record<string, { contentType: string; body: string }> = {
      '/': {
        contentType: 'text/html',
        body: panelPage({
          script: `${ORIGIN}/panel.js`,
          style: `${ORIGIN}/panel.css`,
          source: ORIGIN,
          nonce: 'bm9uY2U',
          language: 'en',
          translations,
        }),
      },
      '/panel.js': { contentType: 'text/javascript', body: read('../../dist/webview/panel.js') },
      '/panel.css': { contentType: 'text/css', body: read('../../dist/webview/panel.css') },
    };
    await page.route('**/*', (route) => {
      const file = files[new URL(route.request().url()).pathname];
      return file ? route.fulfill(file) : route.fulfill({ status: 404 });
    });
    await page.addInitScript(
      ({ variables, bodyClass, first, errors: answers, silent, api }) => {
        const view = window as unknown as PanelWindow;
        view.sent = [];
        view.violations = [];
        document.addEventListener('securitypolicyviolation', (event) =>
          view.violations.push(`${event.violatedDirective}: ${event.sourceFile}:${event.lineNumber} ${event.sample}`),
        );
        const dress = (): void => {
          for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(name, value);
          document.body.className = bodyClass;
        };
        if (document.body) dress();
        else document.addEventListener('DOMContentLoaded', dress);
        const receive = (message: PanelToHost): void => {
          view.sent.push(message);
          if (message.type === 'ready' && first) window.postMessage(first, '*');
          if ('id' in message && message.type !== silent)
            window.postMessage(
              { type: 'response', id: message.id, ...(answers[message.type] ? { error: answers[message.type] } : {}) },
              '*',
            );
        };
        window.addEventListener('panel-message', (event) => receive((event as CustomEvent<PanelToHost>).detail));
        if (api) {
          const acquire = (): object => ({
            postMessage: receive,
            getState: () => JSON.parse(sessionStorage.getItem('editor-state') ?? 'null') ?? undefined,
            setState: (state: unknown) => sessionStorage.setItem('editor-state', JSON.stringify(state)),
          });
          Object.assign(window, { acquireVsCodeApi: acquire });
        }
      },
      { ...themes[theme], first: show, errors: { ...errors }, silent: unanswered, api: editorApi },
    );
    await page.goto(`${ORIGIN}/`);
    const panel = new Panel(page, context);
    await page.waitForFunction(() => (window as unknown as PanelWindow).sent.some((message) => message.type === 'ready'));
    await panel.settled();
    return panel;
  }

  /** Posts a message as the host does; anything may be posted, also what is no message. */
  async post(message: unknown): Promise<void> {
    await this.page.evaluate((data) => window.postMessage(data, '*'), message);
    await this.settled();
  }

  /** Waits until everything that was asked for is drawn. */
  async settled(): Promise<void> {
    await this.page.evaluate(async () => {
      for (let i = 0; i < 4; i++) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    });
  }

  /** Text of the button that the keyboard is on. */
  focused(): Promise<string | undefined> {
    return this.page.evaluate(() => document.activeElement?.textContent?.trim());
  }

  async sent<T extends PanelToHost['type']>(type: T): Promise<Array<Extract<PanelToHost, { type: T }>>> {
    const all = await this.page.evaluate(() => (window as unknown as PanelWindow).sent);
    return all.filter((message): message is Extract<PanelToHost, { type: T }> => message.type === type);
  }

  /** What the content security policy refused. */
  refused(): Promise<string[]> {
    return this.page.evaluate(() => (window as unknown as PanelWindow).violations);
  }

  async accessibilityProblems(): Promise<Violation[]> {
    await this.page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
    return this.page.evaluate(async () => {
      const { violations } = await (window as unknown as PanelWindow).axe.run({ resultTypes: ['violations'] });
      return violations.map(({ id, help, nodes }) => ({
        id,
        help,
        targets: nodes.map((node) => `${JSON.stringify(node.target)} ${node.failureSummary?.replaceAll('\n', ' ') ?? ''}`),
      }));
    });
  }

  card(name: string) {
    return this.page.locator(`[data-item="${name}"]`);
  }

  /** Clicks a point of the Pareto front, where others may lie over it. */
  async clickCandidate(id: string): Promise<void> {
    const mark = this.page.locator(`#pareto-${id} .mark`);
    await mark.scrollIntoViewIfNeeded();
    const box = (await mark.boundingBox())!;
    await this.page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}
