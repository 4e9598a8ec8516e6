/** Exit codes of `espalier`, as docs/cli.md and `--help` list them. */
export const ExitCode = {
  ok: 0,
  /** Something a person can put right: a file, a field, missing data. */
  userError: 1,
  /** Wrong use of the command line itself. */
  usage: 2,
  /** The run finished, but its result does not keep to the goal. */
  goalNotMet: 3,
  /** A bug of ours. */
  bug: 70,
  /** Stopped by Ctrl-C; 143 where a SIGTERM did it. */
  interrupted: 130,
  terminated: 143,
  /** Whatever read standard output stopped reading; as the shell reports SIGPIPE. */
  readerGone: 141,
} as const;

export const exitCodeHelp = `
Exit codes:
  0    done (also: the run to resume was finished already)
  1    something you can put right: a file, a field, missing data
  2    wrong use of the command line
  3    the run finished, but its result does not keep to the goal
  70   a bug of Espalier
  130  stopped by Ctrl-C (143: by SIGTERM); compression runs can be resumed
  141  standard output was closed by its reader`;
