/** All messages between processes. A web view imports panel-messages.ts alone, which keeps JSON-RPC out of its bundle. */
export * from './panel-messages';
export * from './worker-messages';
