/** The code of errors meant for people, without loading JSON-RPC: problems are shown before the worker was ever needed. */
import type { USER_ERROR_CODE as DeclaredCode } from '../protocol/worker-messages';

export type { UserErrorData } from '../protocol/worker-messages';

/** Equal to the protocol's by type: another value there does not compile here. */
export const USER_ERROR_CODE: typeof DeclaredCode = -32001;
