/** Runs one command against the daemon; what it fails with becomes a message and an exit code. */

import type { Command } from 'commander'
import { OperatorClient, PasidError } from '../client/index.js'
import { CliFailure, EXIT, exitCodeOf, type ExitCode } from './exits.js'
import { ReaderGone, type Output } from './output.js'
import { printable } from './rows.js'
import type { GlobalOptions, Work } from './settings.js'
import { chooseSocket, explainUnreachable } from './socket.js'
import type { Terminal } from './terminal.js'

/** A command; one that answers with nothing has succeeded. */
type Answered = Promise<ExitCode | undefined> | Promise<void>
/** Makes a command's action of what it does. */
export type Does = (
  run: (work: Work, ...args: never[]) => Answered,
) => (...args: unknown[]) => Promise<void>

export interface Surroundings {
  readonly output: Output
  readonly terminal: Terminal
}

async function perform(
  { output, terminal }: Surroundings,
  options: GlobalOptions,
  run: (work: Work) => Answered,
): Promise<ExitCode> {
  const socket = chooseSocket(options.socket)
  const client = new OperatorClient({ socket, timeoutMs: options.timeout, retry: { attempts: 2 } })
  try {
    const work = { client, output, terminal, format: options.output, timeoutMs: options.timeout }
    return (await run(work)) ?? EXIT.OK
  } catch (error) {
    if (error instanceof ReaderGone) return EXIT.OK
    if (!(error instanceof PasidError)) throw error
    const message = printable(error.message)
    if (error.isConnectionLost) throw await explainUnreachable(socket, message)
    const reason = error.reason === '' ? error.codeName : error.reason
    throw new CliFailure(`${message} (${reason})`, exitCodeOf(error))
  } finally {
    client.close()
  }
}

export function doing(surroundings: Surroundings, ended: (code: ExitCode) => void): Does {
  return (run) =>
    async (...args) => {
      const command = args.pop() as Command
      const options = command.optsWithGlobals<GlobalOptions>()
      ended(await perform(surroundings, options, (work) => run(work, ...(args as never[]))))
    }
}
