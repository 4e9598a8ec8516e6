/** Entry of the panel's bundle. */
import './without-code-from-text';
import './panel.css';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-progress-bar/index.js';
import '@vscode-elements/elements/dist/vscode-textfield/index.js';
import { vsCodeContext } from '../host-context';
import { plainPageContext } from '../plain-page-context';
import { App } from './app';

const host = globalThis.acquireVsCodeApi ? vsCodeContext(globalThis.acquireVsCodeApi) : plainPageContext();

window.addEventListener('error', ({ error, message }) =>
  host.post({ type: 'viewError', message, ...(error instanceof Error && error.stack ? { stack: error.stack } : {}) }),
);
window.addEventListener('unhandledrejection', ({ reason }) =>
  host.post({ type: 'viewError', message: String(reason), ...(reason instanceof Error && reason.stack ? { stack: reason.stack } : {}) }),
);

new App(document.getElementById('panel')!, host).start();
