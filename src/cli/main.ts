#!/usr/bin/env node
/** `pasidctl`: the operator's command line. What each command does is in commands/. */

import { Command, CommanderError, Option } from 'commander'
import { OperatorClient, PasidError } from '../client/index.js'
import { get, type GetOptions } from './commands/get.js'
import * as lists from './commands/lists.js'
import { check, map, status, type MapOptions } from './commands/state.js'
import { CliFailure, EXIT, EXIT_HELP, exitCodeOf, type ExitCode } from './exits.js'
import { Output, ReaderGone } from './output.js'
import * as settings from './settings.js'
import { chooseSocket, explainUnreachable } from './socket.js'

const PAGE_SIZE_DEFAULT = '1000'
const TIMEOUT_DEFAULT = '10'

/** A command; one that answers with nothing has succeeded. */
type Answered = Promise<ExitCode | undefined> | Promise<void>
type Perform = (work: settings.Work) => Answered

const output = new Output(process.stdout)

/** Runs a command against the daemon; what it fails with becomes a message and an exit code. */
async function perform(options: settings.GlobalOptions, run: Perform): Promise<ExitCode> {
  const socket = chooseSocket(options.socket)
  const client = new OperatorClient({ socket, timeoutMs: options.timeout, retry: { attempts: 2 } })
  try {
    const work = { client, output, format: options.output, timeoutMs: options.timeout }
    return (await run(work)) ?? EXIT.OK
  } catch (error) {
    if (error instanceof ReaderGone) return EXIT.OK
    if (!(error instanceof PasidError)) throw error
    if (error.isConnectionLost) throw await explainUnreachable(socket, error.message)
    const reason = error.reason === '' ? error.codeName : error.reason
    throw new CliFailure(`${error.message} (${reason})`, exitCodeOf(error))
  } finally {
    client.close()
  }
}

function program(ending: { code: ExitCode }): Command {
  const root = new Command('pasidctl')
    .description('Shows what pasidd knows: who holds which PASID, and how full the namespace is.')
    .option('-s, --socket <path>', 'admin socket of the daemon (also: PASIDCTL_SOCKET)')
    .addOption(
      new Option('-o, --output <format>', 'format').choices(['table', 'json']).default('table'),
    )
    .addOption(
      new Option('-t, --timeout <seconds>', 'for one call')
        .argParser(settings.parseTimeout)
        .default(settings.parseTimeout(TIMEOUT_DEFAULT), TIMEOUT_DEFAULT),
    )
    .addHelpText('after', EXIT_HELP)
    .exitOverride()
  const does = (run: (work: settings.Work, ...args: never[]) => Answered) => {
    return async (...args: unknown[]) => {
      const command = args.pop() as Command
      const options = command.optsWithGlobals<settings.GlobalOptions>()
      ending.code = await perform(options, (work) => run(work, ...(args as never[])))
    }
  }
  const listing = (name: string, text: string, run: typeof lists.list, filter?: string) => {
    const command = root
      .command(name)
      .description(text)
      .option(
        '--page-size <rows>',
        'rows asked for at a time',
        settings.parsePageSize,
        settings.parsePageSize(PAGE_SIZE_DEFAULT),
      )
      .option('--limit <rows>', 'end after so many', settings.parseLimit)
    if (filter !== undefined) command.option('--filter <expression>', `for example ${filter}`)
    command.action(does(run))
  }
  listing('list', 'PASIDs that are not free', lists.list, `'tenant = default AND state = ACTIVE'`)
  listing('sessions', 'open sessions', lists.sessions, `'tenant = default'`)
  listing('tenants', 'tenants with their limits and use', lists.tenants)
  listing('devices', 'devices and what they can do', lists.devices)
  listing('reservations', 'numbers that nobody is given, and why', lists.reservations)
  const device = ['--device <name>', 'in the DEVICE scope of this device'] as const
  root
    .command('get <what>')
    .description('one PASID (a number) or one session (sessions/ID)')
    .option(...device)
    .action(does((work, what: string, options: GetOptions) => get(work, what, options)))
  root
    .command('map')
    .description('a picture of the namespace')
    .option(...device)
    .action(does((work, options: MapOptions) => map(work, options)))
  root.command('status').description('how the daemon is').action(does(status))
  root
    .command('check')
    .description('compare memory, ledger and backend; changes nothing')
    .action(does(check))
  return root
}

async function run(argv: readonly string[]): Promise<ExitCode> {
  const ending: { code: ExitCode } = { code: EXIT.OK }
  try {
    await program(ending).parseAsync([...argv], { from: 'user' })
    return ending.code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE
    if (!(error instanceof CliFailure)) throw error
    process.stderr.write(`pasidctl: ${error.message}\n`)
    return error.exitCode
  }
}

process.exitCode = await run(process.argv.slice(2))
await output.finish()
