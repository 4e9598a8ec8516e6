/** The panel in a plain page: what it posts becomes a `panel-message` event of the window; view state lives in the session storage. */
import { type HostContext, onWindowMessage } from './host-context';

const STATE_KEY = 'espalier-panel-state';

export function plainPageContext(): HostContext {
  return {
    post: (message) => window.dispatchEvent(new CustomEvent('panel-message', { detail: message })),
    onMessage: onWindowMessage,
    readState: () => {
      const text = sessionStorage.getItem(STATE_KEY);
      return text === null ? undefined : JSON.parse(text);
    },
    writeState: (state) => sessionStorage.setItem(STATE_KEY, JSON.stringify(state)),
  };
}
