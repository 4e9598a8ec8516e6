/** What the panel needs of the place it runs in. The editor's web view is one such place, a plain page another (plain-page-context.ts). */
import type { PanelToHost, ViewState } from '../src/protocol/panel-messages';

export interface HostContext {
  post(message: PanelToHost): void;
  /** Calls `listener` with everything that comes in, unchecked. Returns what ends this. */
  onMessage(listener: (data: unknown) => void): () => void;
  /** What `writeState` was given last, also before a reload; undefined on the first start. Unchecked. */
  readState(): unknown;
  writeState(state: ViewState): void;
}

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare global {
  var acquireVsCodeApi: (() => VsCodeApi) | undefined;
}

/** Messages of the page's window, which is where both the editor and a test page send them. */
export function onWindowMessage(listener: (data: unknown) => void): () => void {
  const receive = (event: MessageEvent): void => listener(event.data);
  window.addEventListener('message', receive);
  return () => window.removeEventListener('message', receive);
}

/** The editor's web view. May be called once: VS Code hands its API out once a page. */
export function vsCodeContext(acquire: () => VsCodeApi): HostContext {
  const api = acquire();
  return {
    post: (message) => api.postMessage(message),
    onMessage: onWindowMessage,
    readState: () => api.getState(),
    writeState: (state) => api.setState(state),
  };
}
